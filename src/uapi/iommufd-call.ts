/** One row of the table of /dev/iommu: from the bytes of a struct to the call, and back (`struct iommufd_ioctl_op`). */

import { RepliedError } from '../iommufd/calls/replied-error.ts';
import type { Context } from '../iommufd/context.ts';
import type { OpenFile as KernelFile } from '../iommufd/open-files.ts';
import type { KernelError } from '../kernel/errors.ts';
import { type CallShape, ioctlCommand } from './call-shape.ts';
import type { Struct } from './struct.ts';

/** Bytes of the struct that go back to the program. */
export interface ByteRange {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** What a call leaves to be done. */
export interface Answer {
  /** What of the struct is copied back; nothing unless told. */
  readonly reply?: ByteRange | undefined;
  /** Thrown once the reply is written. */
  readonly error?: KernelError;
  /** Offset of the field that a descriptor's number goes to. */
  readonly descriptorAt?: number;
  /** Takes the call back: its reply cannot be written, or its descriptor not be made. */
  undo?(file: KernelFile | undefined): void;
}

export interface IommufdCall extends CallShape {
  readonly argument: 'struct';
  readonly size: number;
  readonly minSize: number;
  structOf(bytes: Uint8Array): Struct<never> | undefined;
  /**
   * Makes the call.
   *
   * @param bytes `size` of them, as the program gave them and zero beyond; out fields are written into them
   * @throws KernelError the call is refused and nothing is copied back
   */
  serve(context: Context, bytes: Uint8Array): Answer;
}

export interface CallForm<R> {
  struct: Struct<R>;
  call(context: Context, request: R): void;
  /** What is copied back of a success: `all` of the struct, `nothing`, a range, or whichever the request says. */
  reply: 'all' | 'nothing' | ByteRange | ((request: R) => 'all' | 'nothing');
  /** Which field a descriptor's number goes to. */
  descriptor?: keyof R & string;
  /** What the kernel takes back if it cannot write the reply; some calls it does not. */
  undo?(context: Context, request: R, file: KernelFile | undefined): void;
}

/** Decodes, calls, and encodes. @throws KernelError the call is refused and nothing is copied back */
export function serveForm<R>(form: CallForm<R>, context: Context, bytes: Uint8Array): Answer {
  const { struct, descriptor } = form;
  const request = struct.decode(bytes);
  let error: KernelError | undefined;
  try {
    form.call(context, request);
  } catch (refusal) {
    if (!(refusal instanceof RepliedError)) throw refusal;
    error = refusal;
  }
  struct.encode(request, bytes);
  return {
    reply: replyOf(form, request),
    ...(error !== undefined && { error }),
    ...(descriptor !== undefined && { descriptorAt: struct.fields[descriptor].offset }),
    ...(form.undo !== undefined && { undo: (file) => form.undo?.(context, request, file) }),
  };
}

function replyOf<R>({ reply, struct }: CallForm<R>, request: R): ByteRange | undefined {
  const what = typeof reply === 'function' ? reply(request) : reply;
  if (what === 'nothing') return undefined;
  return what === 'all' ? { from: 0, to: struct.size } : what;
}

/** A row for a call whose struct has one form. */
export function iommufdCall<R>(
  nr: number,
  name: string,
  /** `offsetofend` of the last field that has always been there. */
  minSize: number,
  form: CallForm<R>,
): IommufdCall {
  return {
    command: ioctlCommand(nr),
    name,
    argument: 'struct',
    size: form.struct.size,
    minSize,
    structOf: () => form.struct as unknown as Struct<never>,
    serve: (context, bytes) => serveForm(form, context, bytes),
  };
}
