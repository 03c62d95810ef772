import Glibc

/// A system call that failed: its name, what it was about, and errno.
public struct SystemError: Error, Sendable, CustomStringConvertible {
  public let call: String
  public let subject: String
  public let errno: Int32

  public var reason: String { String(cString: strerror(errno)) }
  public var description: String { "\(subject): \(reason) (\(call), errno \(errno))" }
}

/// Runs a C call that reports failure by a negative result; repeats it when a signal interrupted it.
@discardableResult
package func systemCall<R: SignedInteger>(_ call: String, _ subject: String, _ body: () -> R) throws(SystemError) -> R {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw SystemError(call: call, subject: subject, errno: code) }
  }
}
