/** Types of earshot.js; the bodies are those of `/openapi.json`, and may have further fields. */

/** A File, a Blob, bytes, a Blob under a name, or in Node the path of a file or of a folder. */
export type Clip = Blob | ArrayBuffer | ArrayBufferView | { blob: Blob; name: string } | string | URL;
export type Clips = Clip | Clip[];
/** Clips by label; or in Node the path of a folder with one for each label, and perhaps one named `background`. */
export type Sounds = Record<string, Clips> | string | URL;

export interface Fault {
  code: string;
  detail: string;
}

export interface Limit {
  name: string;
  value: number;
}

export class EarshotError extends Error {
  constructor(problem: Fault, context?: { status?: number | null; retryAfterS?: number | null; job?: Job | null; cause?: unknown });
  /** Stable; `unreachable` where nothing answers, `http_502` and the like where a proxy does. */
  readonly code: string;
  /** A sentence for people. */
  readonly detail: string;
  readonly status: number | null;
  /** The limit that was exceeded. */
  readonly limit: Limit | null;
  readonly requestId: string | null;
  readonly retryAfterS: number | null;
  /** The job that did not succeed. */
  readonly job: Job | null;
}

export interface Progress {
  phase: string;
  epoch: number;
  epochs: number;
  loss: number | null;
  accuracy: number | null;
  eta_s: number | null;
}

export interface Promoted {
  current: boolean;
  reason: string;
  comparison?: Record<string, number> | null;
}

export interface Job {
  id: string;
  kind?: "adapt" | "evaluate" | "recalibrate" | "classify" | "rebase";
  state: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  progress: Progress | null;
  adapter: { name: string; version?: number | null } | null;
  promoted: Promoted | null;
  report?: Record<string, unknown> | null;
  error: Fault | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  left_out: { file: string; label: string | null; error: Fault }[];
  num_left_out: number;
  warnings: { code: string; file: string; label: string; detail: string }[];
  num_warnings: number;
}

export interface Score {
  label: string;
  score: number;
}

export interface Answer {
  /** The best label, which counts where `unknown` is false. */
  label: string;
  score: number;
  unknown: boolean;
  known_score: number | null;
  scores: Score[];
}

export interface Heard extends Answer {
  file: string;
  duration_s: number;
  silent: boolean;
  truncated: boolean;
  damaged: boolean;
  windows?: (Answer & { start_s: number; end_s: number })[];
  adapter: { name: string; version: number; digest: string } | null;
  error?: undefined;
}

/** A clip that could not be used, among others that could. */
export interface NotHeard {
  file: string;
  error: Fault;
}

export interface AdapterVersion {
  version: number;
  digest: string;
  size_bytes: number;
  created_at: string | null;
  is_current: boolean;
  promoted: Promoted | null;
  description: string | null;
  labels: string[];
  method: string | null;
  shots: Record<string, number> | null;
  threshold: number | null;
  thresholds: Record<string, number> | null;
  report: Record<string, any> | null;
  [further: string]: unknown;
}

export interface Adapter {
  name: string;
  current: number;
  versions: number[];
  standing_by: { version: number; reason: string }[];
  adapter: AdapterVersion;
  channel?: Record<string, unknown> | null;
}

export interface KeptClip {
  id: string;
  label: string | null;
  is_background: boolean;
  file: string;
  duration_s: number;
  size_bytes: number;
  channel?: string | null;
  has_audio: boolean;
  has_features: boolean;
  [further: string]: unknown;
}

export interface Info {
  version: string;
  needs_key: boolean;
  model: { name: string; fingerprint: string; licence: string | null; device: string; [further: string]: unknown };
  limits: Record<string, number>;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface JobOptions extends CallOptions {
  /** Whether to wait for the job's end; true. */
  wait?: boolean;
  /** Told of the job at each of its changes. */
  onProgress?: (job: Job) => void;
  /** Two submissions under one key are one job; by default each call has its own, which its retries share. */
  idempotencyKey?: string;
}

export interface TeachOptions extends JobOptions {
  background?: Clips;
  /** `name` or `name@3`: go on from what that version was taught with. */
  base?: string;
  /** Ids of clips of the base to leave out. */
  remove?: Iterable<string> & { length: number };
  /** Other labels for clips of the base, by id. */
  relabel?: Record<string, string | null>;
  /** Of a base that was recalibrated: whether the clips came through its channel (the default), or not. */
  channel?: "base" | "none";
  keep?: "audio" | "features" | "nothing";
  promote?: "auto" | "always" | "never";
  method?: string;
  description?: string;
  /** Clips as they sound where the adapter will listen. */
  unlabelled?: Clips;
}

export interface ClassifyOptions extends CallOptions {
  /** Without an adapter: what it may be. */
  labels?: string[];
  template?: string;
  topK?: number;
  threshold?: number;
  thresholds?: Record<string, number>;
  /** Whether to have each window's scores too. */
  windows?: boolean;
  onProgress?: (progress: { done: number; total: number; results: (Heard | NotHeard)[] }) => void;
}

export interface EarshotOptions {
  /** `EARSHOT_URL`, or else http://127.0.0.1:8000. */
  url?: string | URL;
  /** `EARSHOT_API_KEY`, or none. */
  key?: string | null;
  fetch?: typeof globalThis.fetch;
  /** How often a request is sent again that is refused for now; 5. */
  retries?: number;
  /** Batches of a classification that are under way at once; 2. */
  concurrency?: number;
}

export class Earshot {
  constructor(options?: EarshotOptions);
  key: string | null;

  teach(name: string, sounds: Sounds, options?: TeachOptions): Promise<Job>;
  add(name: string, sounds: Sounds, options?: TeachOptions): Promise<Job>;
  correct(name: string, corrections: Pick<TeachOptions, "remove" | "relabel"> & TeachOptions): Promise<Job>;

  classify(adapter: string | null, clips: Clip[], options?: ClassifyOptions): Promise<(Heard | NotHeard)[]>;
  /** One result for a clip; a list for a folder. */
  classify(adapter: string | null, clip: Clip, options?: ClassifyOptions): Promise<Heard>;
  evaluate(ref: string, sounds: Sounds, options?: JobOptions & { background?: Clips; against?: string }): Promise<Job>;
  /** The job has no version, and `promoted.reason` says why, where one would sound no more like what was taught. */
  recalibrate(ref: string, clips?: Clips, options?: JobOptions & { promote?: "auto" | "always" | "never" }): Promise<Job>;
  /** A zip or tar of clips, by a job. */
  classifyArchive(adapter: string, archive: Clip, options?: JobOptions): Promise<Job>;

  adapters(options?: CallOptions): Promise<(Adapter | { name: string; error: Fault })[]>;
  adapter(ref: string, options?: CallOptions): Promise<Adapter>;
  versions(name: string, options?: CallOptions): Promise<(AdapterVersion | { name: string; version: number; error: Fault })[]>;
  promote(name: string, version: number, options?: CallOptions): Promise<Adapter>;
  setThresholds(ref: string, thresholds: Record<string, number> | { sensitivity: string }, options?: CallOptions): Promise<Adapter>;
  deleteAdapter(ref: string, options?: CallOptions): Promise<void>;
  exportFile(ref: string, options?: CallOptions): Promise<Blob>;
  importFile(name: string, file: Clip, options?: CallOptions): Promise<AdapterVersion>;

  clips(ref: string, options?: CallOptions): Promise<KeptClip[]>;
  clipAudio(ref: string, id: string, options?: CallOptions): Promise<Blob>;
  deleteClips(ref: string, id?: string | null, options?: CallOptions): Promise<void>;

  jobs(options?: CallOptions & { limit?: number }): Promise<Job[]>;
  job(id: string, options?: CallOptions): Promise<Job>;
  cancel(id: string, options?: CallOptions): Promise<Job>;
  results(id: string, format?: "jsonl" | "csv" | "audacity", options?: CallOptions): Promise<Blob>;
  events(id: string, options?: CallOptions & { after?: string | null }): AsyncGenerator<{ id: string; job: Job }>;
  wait(id: string, options?: CallOptions & { onProgress?: (job: Job) => void }): Promise<Job>;

  info(options?: CallOptions & { refresh?: boolean }): Promise<Info>;
}
