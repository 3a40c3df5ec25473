/** The stable names of what can go wrong. */
export type ErrorCode =
  | "VersionConflict"
  | "IdempotencyConflict"
  | "ConditionFailed"
  | "NameConflict"
  | "StoreBusy"
  | "LeaderLost"
  | "ProtocolMismatch"
  | "QuotaExceeded"
  | "StorageUnavailable"
  | "StorageFailed"
  | "LoadFailed"
  | "Poisoned"
  | "Corrupt"
  | "NewerFormat"
  | "BackupMismatch"
  | "LimitExceeded"
  | "InvalidInput"
  | "NotFound"
  | "ReadOnly"
  | "Internal"
  | "Closed";

/** Whatever the store refuses or fails at. Act on `code`; `message` is for people. */
export class AnnalsError extends Error {
  override readonly name = "AnnalsError";
  readonly code: ErrorCode;
  /** `VersionConflict`: the stream. */
  readonly entity?: string;
  /** `VersionConflict`: what was expected, in words. */
  readonly expected?: string;
  /** `VersionConflict`: the stream's last version, if it has one. `LimitExceeded`: what was found. */
  readonly actual?: number;
  /** `LimitExceeded`: what is limited. */
  readonly limit?: string;
  /** `LimitExceeded`: the most that is permitted. */
  readonly max?: number;
  /** `IdempotencyConflict`: the id. */
  readonly id?: string;
  /** `IdempotencyConflict` and `ConditionFailed`: the event in the way. */
  readonly sequence?: bigint;
  /** `Corrupt` and failures of files: the file, or `backup` for one that is taken in. */
  readonly file?: string;
  /** `Corrupt`: where in the file, in bytes. */
  readonly offset?: number;

  constructor(code: ErrorCode, message: string, fields: object = {}) {
    super(message);
    Object.assign(this, fields);
    this.code = code;
  }
}

export function closed(): AnnalsError {
  return new AnnalsError("Closed", "the store is closed");
}
