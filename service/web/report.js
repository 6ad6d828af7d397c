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

/** How it does against what it was not taught: shares of taught clips rejected, and of others accepted; or null. */
export function background(report) {
  if (report?.background?.false_acceptance != null) {
    return { rejected: report.background.rejected, accepted: report.background.false_acceptance };
  }
  const unknown = report?.unknown; // as adapters of release 0.2.0 have it
  return unknown ? { rejected: unknown.taught_rejected, accepted: unknown.background_accepted } : null;
}

export function backgroundWords(report) {
  const found = background(report);
  return found && t.report.unknown(found.rejected ?? 0, found.accepted);
}

export function perLabel(report) {
  return report?.per_label ?? report?.per_class ?? null;
}
