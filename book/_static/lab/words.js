// What the networks found, in words and numbers.

import { add, say, words } from "../minipose/controls.js";
import { apply, inverse } from "../minipose/crop.js";

const SEEN = ["outside the picture", "hidden", "visible"];
const PERSON = ["the person of the start", "the other person"];

/** One network on all joints. */
export function summary({ stage, judged }, threshold, crowd) {
  const drawn = stage.scores.filter((score) => score >= threshold).length;
  const there = `${drawn} of ${stage.scores.length} joints score ${say(threshold)} or more`;
  if (judged.person === null) return `${there}. There is no truth to compare with.`;
  const whom = crowd ? `It means ${PERSON[judged.person]}. ` : "";
  const right = `${judged.found} of ${judged.labelled} within half a head of the truth`;
  return `${whom}${there}; ${right}, ${say(judged.mean)} heads away on average.`;
}

/** One network on one joint. `matrix` : picture px -> crop px. */
export function detail({ stage, judged }, k, name, threshold, people, matrix) {
  const [x, y] = apply(inverse(matrix), stage.points[k]);
  const there = stage.scores[k] >= threshold ? "there" : "not there";
  const found = `${words(name)}: score ${say(stage.scores[k])}, so ${there}; at (${say(x, 1)}, ${say(y, 1)})`;
  const person = people[judged.person];
  if (!person) return `${found} of the picture.`;
  const away = judged.errors[k];
  const truth =
    away === null ? "" : `, ${say(away * person.head, 1)} px of the crop = ${say(away)} heads away`;
  return `${found} of the picture. In truth ${SEEN[person.seen[k]]}${truth}.`;
}

/** Every joint of both networks: a table that is written only while it is open; `opened` asks for it. */
export function table(parent, titles, opened) {
  const box = add(parent, "details");
  box.addEventListener("toggle", opened);
  add(box, "summary", {}, "All joints in numbers");
  const sheet = add(add(box, "div", { class: "sheet", tabindex: 0 }), "table");
  const head = add(add(sheet, "thead"), "tr");
  const columns = titles.flatMap((title) => [`${title}: score`, "heads away"]);
  for (const text of ["joint", "in truth", ...columns]) add(head, "th", { scope: "col" }, text);
  const body = add(sheet, "tbody");

  return function show(joints, looks, people) {
    body.replaceChildren();
    if (!box.open) return;
    joints.forEach((name, k) => {
      const row = add(body, "tr");
      add(row, "th", { scope: "row" }, words(name));
      const person = people[looks[0].judged.person];
      add(row, "td", {}, person ? SEEN[person.seen[k]] : "–");
      for (const { stage, judged } of looks) {
        add(row, "td", {}, say(stage.scores[k]));
        add(row, "td", {}, say(judged.errors[k] ?? NaN));
      }
    });
  };
}
