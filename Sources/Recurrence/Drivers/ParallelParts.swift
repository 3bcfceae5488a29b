// The only file that imports Dispatch.

import Dispatch

/// Calls `body` once for each part in 0..<parts, on as many threads as Dispatch sees fit, and returns when all are done.
///
/// One part runs on the caller's thread and never enters Dispatch. No part may wait for another to start: Dispatch
/// promises completion, not concurrency.
package func concurrentParts(_ parts: Int, _ body: @Sendable (Int) -> Void) {
  if parts <= 1 {
    if parts == 1 { body(0) }
    return
  }
  DispatchQueue.concurrentPerform(iterations: parts, execute: body)
}
