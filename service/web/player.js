/** One sound at a time. */

let audio = null;
let stopLast = () => {};

/** Play a blob from `startS` to `endS`; `onTime` is told where it is, in seconds, and `onEnd` when it is over. */
export async function play(blob, { startS = 0, endS = null, onTime = () => {}, onEnd = () => {} } = {}) {
  stop();
  const url = URL.createObjectURL(blob);
  const playing = (audio = new Audio(url));
  let frame = 0;
  const finish = () => {
    cancelAnimationFrame(frame);
    playing.pause();
    URL.revokeObjectURL(url);
    if (audio === playing) [audio, stopLast] = [null, () => {}];
    onEnd();
  };
  stopLast = finish;
  const follow = () => {
    onTime(playing.currentTime);
    if (endS !== null && playing.currentTime >= endS) finish();
    else if (audio === playing) frame = requestAnimationFrame(follow);
  };
  playing.addEventListener("ended", finish, { once: true });
  try {
    if (startS) playing.currentTime = startS;
    await playing.play();
    follow();
  } catch (error) {
    if (audio === playing) finish();
    if (error.name !== "AbortError") throw error;
  }
}

export function stop() {
  stopLast();
}
