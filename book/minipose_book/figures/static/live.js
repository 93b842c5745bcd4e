// What book/minipose_book/figures/moving.py puts below a figure's modules where a kernel listens: questions and answers.

function render({ model, el }) {
  const waiting = new Map(); // number of a question -> who waits for the answer
  let asked = 0;
  const ask = (question) =>
    new Promise((resolve) => {
      waiting.set(++asked, resolve);
      model.send({ ...question, number: asked });
    });
  const take = ({ number, reply }) => {
    waiting.get(number)?.(reply);
    waiting.delete(number);
  };
  model.on("msg:custom", take);
  FIGURE(el, model.get("data"), ask);
  return () => model.off("msg:custom", take);
}

export default { render };
