// Where pictures come from: the scenes that ship with the page, the reader's photo, the camera.
//
// A picture: image (what a canvas can draw), width, height, center and side (of the crop at the start),
// people (truth by skeleton), says, and for a camera live and stop(). No picture is sent anywhere.

import { load } from "../minipose/viewer.js";
import { whole } from "./crops.js";

const MOST = { bytes: 40e6, pixels: 80e6, side: 1024 }; // a photo beyond `side` is made smaller

/** What the reader is told, as it stands. */
export class Sorry extends Error {}

export async function scene({ file, ...rest }, folder) {
  const image = await load(new URL(file, folder)).catch(() => {
    throw new Sorry("The picture did not come: is the server of this book still there?");
  });
  return { image, file, width: image.naturalWidth, height: image.naturalHeight, ...rest };
}

/** A file that the reader picked or dropped. */
export async function photo(file) {
  if (!file.size) throw new Sorry(`${file.name} is empty: 0 bytes.`);
  if (file.size > MOST.bytes) throw new Sorry(`${file.name} is too large: more than ${MOST.bytes / 1e6} MB.`);
  const address = URL.createObjectURL(file);
  try {
    const image = await opened(address, file.name);
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    if (!width || !height) throw new Sorry(`${file.name} is a picture without width or height.`);
    if (width * height > MOST.pixels) {
      throw new Sorry(`${file.name} is too large: ${width} x ${height} pixels.`);
    }
    const canvas = smaller(image, width, height, file.name);
    const says = `${file.name}${(await moves(file)) ? " (it moves: here is its first picture)" : ""}`;
    return { image: canvas, width: canvas.width, height: canvas.height, ...whole(canvas), people: {}, says };
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** The size of an image is known before its pixels are: none are made of one that is too large. */
function opened(address, name) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Sorry(`${name} is no picture that this browser can read.`));
    image.src = address;
  });
}

function smaller(image, width, height, name) {
  const scale = Math.min(1, MOST.side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const brush = canvas.getContext("2d");
  brush.imageSmoothingQuality = "high";
  try {
    brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    brush.getImageData(0, 0, 1, 1); // refused where a file refers to others
  } catch {
    throw new Sorry(`The pixels of ${name} cannot be read.`);
  }
  return canvas;
}

/** Whether a file is an animation, where the browser can tell. */
async function moves(file) {
  if (!("ImageDecoder" in window) || !(await ImageDecoder.isTypeSupported(file.type))) return false;
  const decoder = new ImageDecoder({ data: file.stream(), type: file.type });
  try {
    await decoder.tracks.ready;
    return decoder.tracks.selectedTrack.animated;
  } catch {
    return false;
  } finally {
    decoder.close();
  }
}

const REFUSED = {
  NotAllowedError: "The browser may not use the camera: allow it in the address bar, or choose a photo.",
  NotFoundError: "There is no camera here: choose a photo.",
};

/** The camera, until stop(). */
export async function camera() {
  if (!navigator.mediaDevices)
    throw new Sorry("A camera takes an address that begins with https or localhost.");
  const image = document.createElement("video");
  [image.muted, image.playsInline] = [true, true];
  const stop = () => {
    for (const track of image.srcObject?.getTracks() ?? []) track.stop();
    image.srcObject = null;
  };
  try {
    const wish = { video: { width: { ideal: 640 } }, audio: false };
    image.srcObject = await navigator.mediaDevices.getUserMedia(wish);
    await image.play();
  } catch (error) {
    stop();
    throw new Sorry(REFUSED[error.name] ?? `The camera cannot be used: ${error.message}.`);
  }
  const [width, height] = [image.videoWidth, image.videoHeight];
  const says = "your camera";
  return { image, width, height, ...whole({ width, height }), people: {}, says, live: true, stop };
}
