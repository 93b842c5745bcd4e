// A tour of five questions. Each sets a scene; the reader answers by moving something, and the page sees it.

import { add, button, words } from "../minipose/controls.js";
import { START } from "./desk.js";
import { patch } from "./crops.js";
import { chosenStage } from "./views.js";

const DRAWN = { difference: false, skeleton: true, truth: false, first: 8, second: 8, threshold: 30 };
const PLAIN = { ...START, ...DRAWN, patch: false };
const RESULTS = ["results.html", "Reading the results"];

/**
 * The steps: a question, the state that it starts from, whether what is seen now answers it, and what there
 * is to say then. told : what book/build/lab.py found out about the scenes.
 */
function steps({ whom, covered, decided, turned, absent }) {
  return [
    {
      question:
        "Two people stand here, and each network draws one skeleton. Slide the crop (drag the picture) " +
        "until both networks change their mind about whom they annotate. How far do you have to go?",
      set: { scene: whom.scene, joint: "all" },
      solved: ({ looks }) => looks.every(({ judged }) => judged.person === 1),
      answer:
        "Both mean the other person now. Nothing but the place of the crop says who is meant: the person " +
        "in its centre (section 3.4 and Figure 10 of the paper). In between, skeletons are made of both " +
        "people.",
      chapter: RESULTS,
    },
    {
      question:
        `The grey patch hides what it lies on. Drag it over the ${words(covered.joint)}, which the ring ` +
        "marks. Does the score fall? Does the point stay where the arm must end?",
      set: { ...covered.at, scene: covered.scene, joint: covered.joint, patch: true, width: 12 },
      solved: ({ state, picture, pair, truth }) => {
        const { x, y, side } = patch(picture, state);
        const [u, v] = truth[0].joints[pair.joints.indexOf(covered.joint)];
        return Math.max(Math.abs(u - x), Math.abs(v - y)) < side / 2;
      },
      answer:
        "It is covered. A hidden joint has a label in training too, so the networks guess it from the " +
        "rest of the arm. Look through the stages, and drag the patch on over the elbow and the shoulder.",
      chapter: RESULTS,
    },
    {
      question:
        `The cross is the true ${words(decided.joint)}. Network B comes within half a head of it in the ` +
        "end, but not at first. From which of its stages on does it? Choose that stage.",
      set: { scene: decided.scene, joint: decided.joint, truth: true },
      solved: ({ state, all, pair, limit }) => {
        const k = pair.joints.indexOf(decided.joint);
        const right = all[1].map(({ judged }) => judged.person === 0 && judged.errors[k] <= limit);
        const first = right.lastIndexOf(false) + 1; // stages count from 1
        return right.at(-1) && chosenStage(state.second, right.length) === first + 1;
      },
      answer:
        "From this stage on the answer stays. A later hourglass reads the heatmaps of the one before, " +
        "and can weigh one joint against all others.",
      chapter: ["stacking.html", "Stacking and intermediate supervision"],
    },
    {
      question:
        "Nearly everybody stood upright while these networks learned. Turn the crop (two fingers, the keys " +
        "[ and ], or “Turn” further down) until both have lost more than half of the joints. Which joints " +
        "go first?",
      set: { scene: turned.scene, joint: "all" },
      solved: ({ state, looks }) =>
        state.angle !== 0 && looks.every(({ judged }) => judged.found < judged.labelled / 2),
      answer:
        "A network knows what it has been shown. That is why training turns its pictures at random where " +
        "there are few of them.",
      chapter: ["crops.html", "Crops, mirrors and augmentation"],
    },
    {
      question:
        `Of this person ${absent.missing} joints lie outside the picture, and each network draws them all ` +
        "the same. Raise the score that a joint must have until none of the missing is drawn (“Draw joints " +
        "that score”, further down). Which others go with them?",
      set: { scene: absent.scene, joint: "all", threshold: 0 },
      solved: ({ state, looks, people }) =>
        looks.every(({ stage: { scores } }) => {
          const drawn = scores.map((score) => score >= state.threshold / 100);
          const [outside, inside] = [0, 1].map((there) =>
            drawn.filter((_, k) => people[0].seen[k] > 0 == there),
          );
          return !outside.some(Boolean) && inside.filter(Boolean).length > inside.length / 2;
        }),
      answer:
        "PCK asks where a joint is, never whether it is there at all. The height of the heatmap answers " +
        "that, with errors of both kinds: section 5.2 and Figure 11 of the paper.",
      chapter: RESULTS,
    },
  ];
}

/**
 * The tour's box. `set(state)` sets a scene. Returns `look(facts)`, which sees whether a step is solved, and
 * `line`: a button that says so beside the pictures, where the box is out of sight, and leads back to it.
 */
export function tour(parent, told, set) {
  const all = steps(told);
  const box = add(parent, "section", { class: "tour", "aria-label": "A tour of five questions" });
  const title = add(box, "p", { class: "title" });
  const question = add(box, "p");
  const answer = add(box, "p", { role: "status" });
  const bar = add(box, "div", { class: "bar" });
  const [next, again, back] = [
    button(bar, "Next question", () => go(at + 1)),
    button(bar, "Again", () => go(at)),
    button(bar, "Previous", () => go(at - 1)),
  ];
  const line = button(box, "", () => {
    box.scrollIntoView();
    (next.hidden ? again : next).focus({ preventScroll: true });
  });
  const solved = new Set();
  let at = -1; // before the first step

  function go(to) {
    at = to;
    solved.delete(at);
    set({ ...PLAIN, ...all[at].set });
    const pressed = document.activeElement;
    show();
    if (pressed.hidden) again.focus({ preventScroll: true });
    box.scrollIntoView(); // the pictures are just below
  }

  function show() {
    const step = all[at];
    const number = `Question ${at + 1} of ${all.length}`;
    title.textContent = step ? number : `A tour of ${all.length} questions`;
    question.textContent = step
      ? step.question
      : "Each sets a scene and asks something that you answer by moving something.";
    next.textContent = step ? "Next question" : "Start the tour";
    back.hidden = at < 1;
    again.hidden = line.hidden = !step;
    next.hidden = at === all.length - 1;
    const done = step && solved.has(at);
    line.textContent = `${number}: ${done ? "yes! Read on" : "not yet"}`;
    answer.textContent = "";
    if (!done) return;
    answer.textContent = `Yes. ${step.answer} `;
    add(answer, "a", { href: step.chapter[0] }, `More in the chapter “${step.chapter[1]}”.`);
  }
  show();

  function look(facts) {
    const step = all[at];
    if (!step || solved.has(at) || facts.state.scene !== step.set.scene || !facts.people.length) return;
    if (!step.solved(facts)) return;
    solved.add(at);
    show();
  }
  return { look, line };
}
