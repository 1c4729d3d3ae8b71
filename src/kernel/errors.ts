/**
 * The two ways something can be wrong: a call the kernel would refuse (`KernelError`, with the errno it would
 * return), and input nobody could make sense of (`InputError`, with the place in it).
 */

/** Error numbers as Linux has them (asm-generic/errno-base.h, errno.h), for every code the model returns. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  EDEADLK: 35,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EBADE: 52,
  EOVERFLOW: 75,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ETIMEDOUT: 110,
  EMEDIUMTYPE: 124,
  EPROBE_DEFER: 517,
} as const;

export type ErrnoName = keyof typeof ERRNO;

/** A refusal the kernel would answer with `-errno`. The message names the object and what would help. */
export class KernelError extends Error {
  readonly code: ErrnoName;
  /** Positive, as in errno.h; the ioctl door negates it. */
  readonly errno: number;

  /**
   * @param object what the call was made on, e.g. `group 7` or `0000:01:00.0`
   * @param problem what is in the way, e.g. `is owned by vfio`
   * @param remedy what would make the call succeed, where anything would
   */
  constructor(code: ErrnoName, object: string, problem: string, remedy?: string) {
    super(`${object}: ${problem}${remedy === undefined ? '' : ` (${remedy})`} [${code}]`);
    this.name = 'KernelError';
    this.code = code;
    this.errno = ERRNO[code];
  }
}

/** Input that cannot be used: a file, a flag, a field. One line, naming the place first. */
export class InputError extends Error {
  /** File, line, flag or field: `dump.txt:17`, `--policy`, `snapshot.json: devices[3].address`. */
  readonly place: string;

  constructor(place: string, problem: string) {
    super(`${place}: ${problem}`);
    this.name = 'InputError';
    this.place = place;
  }
}
