// Networks in the browser: questions to worker.js, which runs them, and its answers.

/** A thread with a runtime: provider is "wasm" or "webgpu". Rejects where the browser has none. */
export async function engine(provider = "wasm") {
  // A thread of its own address would keep its own rules; one that starts from a blob keeps the page's
  // content security policy, so that nothing in it can send a picture away.
  const start = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const address = URL.createObjectURL(new Blob([start], { type: "text/javascript" }));
  const worker = new Worker(address, { type: "module" });
  const waiting = new Map(); // number of a question -> who waits for the answer
  let asked = 0;

  const ask = (task, given) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject });
      worker.postMessage({ number: asked, task, ...given });
    });
  worker.addEventListener("message", ({ data: { number, answer, error } }) => {
    const { resolve, reject } = waiting.get(number);
    waiting.delete(number);
    if (error) reject(new Error(error));
    else resolve(answer);
  });
  worker.addEventListener("error", () => {
    for (const { reject } of waiting.values()) reject(new Error("the networks' thread has stopped"));
    waiting.clear();
  });

  const end = () => worker.terminate();
  try {
    await ask("start", { provider });
  } catch (error) {
    end();
    throw error;
  } finally {
    URL.revokeObjectURL(address);
  }
  return {
    provider,
    end,

    /** Of each network { stages, milliseconds }, a stage being its heatmaps (J, h, w) in a row. */
    run({ data, width }, networks) {
      const addresses = networks.map(String);
      return ask("run", { addresses, provider, pixels: data, size: width });
    },
  };
}

/** Whether the browser has a graphics processor to compute with; one that is only imitated is no gain. */
export async function hasGraphics() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
}
