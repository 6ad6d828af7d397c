/** Sound in the browser: decoding, peaks to draw, WAV. */

const RATE_HZ = 48_000;
const NUM_PEAKS = 400;

/** The samples of a file, mono, as `{samples, rateHz}`; raises where the browser does not know the format. */
export async function decode(blob) {
  const context = new OfflineAudioContext(1, 1, RATE_HZ);
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  return { samples: mono(buffer), rateHz: buffer.sampleRate };
}

function mono(buffer) {
  if (buffer.numberOfChannels === 1) return buffer.getChannelData(0);
  const samples = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const data = buffer.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) samples[i] += data[i] / buffer.numberOfChannels;
  }
  return samples;
}

/** The loudest sample of each of `count` equal parts, 0 to 1. */
export function peaksOf(samples, count = NUM_PEAKS) {
  const peaks = new Float32Array(Math.min(count, samples.length));
  for (let i = 0; i < peaks.length; i++) {
    const end = Math.floor(((i + 1) * samples.length) / peaks.length);
    let peak = 0;
    for (let j = Math.floor((i * samples.length) / peaks.length); j < end; j++) peak = Math.max(peak, Math.abs(samples[j]));
    peaks[i] = peak;
  }
  return peaks;
}

/** The part of some samples from `startS` to `endS`, in seconds. */
export function cut({ samples, rateHz }, startS, endS) {
  return { samples: samples.slice(Math.round(startS * rateHz), Math.round(endS * rateHz)), rateHz };
}

/** A WAV file of 16-bit PCM, mono. */
export function toWav({ samples, rateHz }) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, value) => [...value].forEach((char, i) => view.setUint8(at + i, char.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  for (let i = 0; i < samples.length; i++) {
    const value = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(44 + 2 * i, Math.round(value * 32767), true);
  }
  return new Blob([view], { type: "audio/wav" });
}

export function joined(chunks) {
  const samples = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    samples.set(chunk, at);
    at += chunk.length;
  }
  return samples;
}
