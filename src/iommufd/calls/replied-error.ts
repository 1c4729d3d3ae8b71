/** A refusal whose reply is written all the same, as of `IOMMU_IOAS_IOVA_RANGES` when there are more than fit. */

import { KernelError } from '../../kernel/errors.ts';

/** The caller finds the request's output fields filled in beside the errno. */
export class RepliedError extends KernelError {
  /** The same refusal, of a call that writes its reply nevertheless. */
  static from(error: KernelError): RepliedError {
    const replied = new RepliedError(error.code, '', '');
    replied.message = error.message;
    replied.cause = error;
    return replied;
  }
}
