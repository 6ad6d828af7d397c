/** In the audio thread: gathers the microphone's samples and hands them over in larger pieces. */

const SIZE = 4096;

class Recorder extends AudioWorkletProcessor {
  #gathered = new Float32Array(SIZE);
  #count = 0;

  process([[channel]]) {
    if (!channel) return true;
    for (const sample of channel) {
      this.#gathered[this.#count++] = sample;
      if (this.#count === SIZE) {
        this.port.postMessage(this.#gathered, [this.#gathered.buffer]);
        this.#gathered = new Float32Array(SIZE);
        this.#count = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
