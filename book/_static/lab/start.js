// Where the lab can run it is started; where it cannot, the page says why and shows a recording.
//
// A plain script, since a page that was opened from a disk may not load modules.

(() => {
  const host = document.getElementById("lab");
  const folder = new URL("./", document.currentScript.src);

  const ready = () => {
    host.querySelector(".waiting").remove();
    host.setAttribute("aria-busy", "false");
  };

  /** The pictures of one file, one after the other: a slider, and a button that moves it. */
  function recording() {
    const box = host.querySelector(".recording");
    box.hidden = false;
    const [image, slider, play] = ["img", "input", "button"].map((each) => box.querySelector(each));
    const show = () => {
      image.style.translate = `0 ${(-100 * slider.value) / (Number(slider.max) + 1)}%`;
    };
    // One below the other, each twice as wide as high.
    image.addEventListener("load", () => {
      slider.max = (2 * image.naturalHeight) / image.naturalWidth - 1;
      show();
    });
    image.src = new URL("made/recorded.jpg", folder);
    let timer = null;
    slider.addEventListener("input", () => {
      clearInterval(timer);
      show();
    });
    play.addEventListener("click", () => {
      clearInterval(timer);
      slider.value = 0;
      show();
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        show();
        if (slider.value === slider.max) clearInterval(timer);
      }, 250);
    });
  }

  const failed = (reason) => {
    host.querySelector(".minipose")?.remove();
    host.querySelector(`[data-reason="${reason}"]`).hidden = false;
    recording();
    ready();
  };
  if (location.protocol === "file:") failed("file");
  else if (typeof WebAssembly !== "object") failed("wasm");
  else {
    import(new URL("lab.js", folder))
      .then(({ lab }) => lab(host, folder))
      .then(ready)
      .catch((error) => {
        console.warn(error);
        failed("other");
      });
  }
})();
