/** An adapter's report in words. */

import { t } from "./language.js";

/** How often it was right on clips that were held out. */
export function accuracyWords(report) {
  if (!report) return t.report.none;
  if (report.accuracy === null || report.accuracy === undefined) return report.reason ?? t.report.none;
  const numClips = report.num_clips ?? 0;
  const numRight = Math.round(report.accuracy * numClips);
  const words = numClips ? t.report.accuracy(numRight, numClips, report.accuracy) : t.report.plain(report.accuracy);
  const interval = report.accuracy_interval;
  return interval ? `${words} ${t.report.interval(...interval)}` : words;
}

/** How it does against what it was not taught. */
export function unknownWords(report) {
  const unknown = report?.unknown;
  if (!unknown) return null;
  return t.report.unknown(unknown.taught_rejected, unknown.background_accepted);
}

export function perLabel(report) {
  return report?.per_label ?? report?.per_class ?? null;
}
