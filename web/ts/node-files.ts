// The files of a directory through `node:fs`, synchronously, under the names that they have
// everywhere.

import * as fs from "node:fs";
import { join } from "node:path";
import type { HostFile, HostFiles } from "../pkg/annals_web.js";
import { AnnalsError } from "./errors.js";

/** Node can't lock a file, so the process that writes leaves its id in one. */
const OWNER_NAME = "LOCK.node";
/** What the native library locks. */
const NATIVE_LOCK_NAME = "LOCK";

export class Directory implements HostFiles {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens a directory as its only writer among Node's processes, and beside no native one. */
  static open(path: string): Directory {
    const made = fs.mkdirSync(path, { recursive: true });
    if (made !== undefined) syncDirectory(join(path, ".."));
    refuseNativeWriter(path);
    takeOver(path);
    return new Directory(path);
  }

  close() {
    fs.rmSync(join(this.#path, OWNER_NAME), { force: true });
  }

  list(): string[] {
    return fs.readdirSync(this.#path);
  }

  create(name: string): HostFile {
    return new OpenFile(fs.openSync(join(this.#path, name), "wx+"));
  }

  open(name: string): HostFile {
    return new OpenFile(fs.openSync(join(this.#path, name), "r+"));
  }

  remove(name: string) {
    fs.unlinkSync(join(this.#path, name));
  }

  syncDirectory() {
    syncDirectory(this.#path);
  }
}

class OpenFile implements HostFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }
  length(): number { return fs.fstatSync(this.#fd).size; }
  setLength(length: number) { fs.ftruncateSync(this.#fd, length); }
  read(buffer: Uint8Array, offset: number): number { return fs.readSync(this.#fd, buffer, 0, buffer.length, offset); }
  write(bytes: Uint8Array, offset: number): number { return fs.writeSync(this.#fd, bytes, 0, bytes.length, offset); }
  sync() { fs.fdatasyncSync(this.#fd); }
  close() { fs.closeSync(this.#fd); }
}

function syncDirectory(path: string) {
  // Windows can't open a directory, and keeps its names without being asked.
  if (process.platform === "win32") return;
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Leaves this process's id, unless one stands there whose process runs. */
function takeOver(path: string) {
  const owner = join(path, OWNER_NAME);
  for (let tries = 0; tries < 2; tries++) {
    try {
      fs.writeFileSync(owner, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const pid = Number(fs.readFileSync(owner, "utf8"));
    if (isRunning(pid)) throw busy(path, `process ${pid}`);
    fs.rmSync(owner, { force: true });
  }
  throw busy(path, "another process");
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** On Linux the kernel tells who holds the lock of the native library. */
function refuseNativeWriter(path: string) {
  let locks: string;
  let inode: bigint;
  try {
    inode = fs.statSync(join(path, NATIVE_LOCK_NAME), { bigint: true }).ino;
    locks = fs.readFileSync("/proc/locks", "utf8");
  } catch {
    return;
  }
  const held = locks.split("\n").find((line) => line.includes(" FLOCK ") && line.includes(`:${inode} `));
  if (held) throw busy(path, `process ${held.trim().split(/\s+/)[4]}`);
}

function busy(path: string, who: string): AnnalsError {
  return new AnnalsError("StoreBusy", `${who} has the store in ${path} open: close it there`);
}
