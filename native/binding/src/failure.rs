//! Errors across the seam: facts, no sentences. The control plane keeps the sentences in one table.

use datapath::error::Error;
use napi::Status;

/// The error as JavaScript gets it: its message is JSON `{code, subject, syscall?, errno?, detail?}`.
pub(crate) fn thrown(error: Error) -> napi::Error {
    let mut facts = vec![
        field("code", error.code.name()),
        field("subject", &error.subject),
    ];
    facts.extend(error.syscall.map(|syscall| field("syscall", syscall)));
    facts.extend(error.errno.map(|errno| format!("\"errno\":{errno}")));
    facts.extend(
        error
            .detail
            .as_deref()
            .map(|detail| field("detail", detail)),
    );
    napi::Error::new(Status::GenericFailure, format!("{{{}}}", facts.join(",")))
}

fn field(name: &str, value: &str) -> String {
    let mut text = format!("\"{name}\":\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c < ' ' => text.push_str(&format!("\\u{:04x}", c as u32)),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use datapath::error::ErrorCode;

    #[test]
    fn facts_are_json_whatever_stands_in_them() {
        let error = Error::from_syscall(ErrorCode::Io, "a\"b\\c\n", "open", 2).with_detail("é");
        assert_eq!(
            thrown(error).reason.to_string(),
            r#"{"code":"IO","subject":"a\"b\\c\u000a","syscall":"open","errno":2,"detail":"é"}"#
        );
    }
}
