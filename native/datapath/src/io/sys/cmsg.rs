//! Control messages of `sendmsg` and `recvmsg`, as bytes.
//!
//! ```text
//! | len: size_t | level: i32 | type: i32 | data ... | padding to size_t |     len counts header and data
//! ```

/// Distance to which the kernel aligns headers and data.
const ALIGN: usize = size_of::<usize>();
const HEADER_LEN: usize = size_of::<usize>() + 8;

/// Room for `N` bytes of control messages, aligned as the kernel wants them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(in crate::io) struct Control<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Control<N> {
    pub(in crate::io) const EMPTY: Self = Self {
        bytes: [0; N],
        len: 0,
    };

    /// Appends a message; `N` is chosen so that all that a caller appends fits.
    pub(in crate::io) fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let end = self.len + space(data.len());
        let Some(slot) = self.bytes.get_mut(self.len..end) else {
            debug_assert!(false, "no room for a control message");
            return;
        };
        slot[..ALIGN].copy_from_slice(&len(data.len()).to_ne_bytes());
        slot[ALIGN..ALIGN + 4].copy_from_slice(&level.to_ne_bytes());
        slot[ALIGN + 4..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
        slot[HEADER_LEN..HEADER_LEN + data.len()].copy_from_slice(data);
        self.len = end;
    }

    pub(in crate::io) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Bytes that a message with `data_len` bytes of data takes.
pub(in crate::io) const fn space(data_len: usize) -> usize {
    HEADER_LEN + data_len.next_multiple_of(ALIGN)
}

/// The same without the padding behind it.
pub(in crate::io) const fn len(data_len: usize) -> usize {
    HEADER_LEN + data_len
}

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) struct ControlMessage<'a> {
    pub(in crate::io) level: i32,
    pub(in crate::io) kind: i32,
    pub(in crate::io) data: &'a [u8],
}

impl ControlMessage<'_> {
    /// The data as one `int`.
    pub(in crate::io) fn int(&self) -> Option<i32> {
        self.data.first_chunk().copied().map(i32::from_ne_bytes)
    }
}

/// Walks what the kernel wrote; stops at the first message that does not fit.
pub(in crate::io) fn messages(mut rest: &[u8]) -> impl Iterator<Item = ControlMessage<'_>> {
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(rest.first_chunk().copied()?);
        let message = rest.get(..len)?;
        let (header, data) = message.split_at_checked(HEADER_LEN)?;
        let level = i32::from_ne_bytes(header[ALIGN..ALIGN + 4].try_into().ok()?);
        let kind = i32::from_ne_bytes(header[ALIGN + 4..].try_into().ok()?);
        rest = rest.get(len.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some(ControlMessage { level, kind, data })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_undo_push(input in proptest::collection::vec(
            (any::<i32>(), any::<i32>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..6,
        )) {
            let mut control = Control::<512>::EMPTY;
            for (level, kind, data) in &input {
                control.push(*level, *kind, data);
            }
            let output: Vec<_> = messages(control.as_bytes())
                .map(|m| (m.level, m.kind, m.data.to_vec()))
                .collect();
            prop_assert_eq!(output, input);
        }

        #[test]
        fn messages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = messages(&bytes).count();
        }
    }

    #[test]
    fn layout_is_that_of_the_c_library() {
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
        unsafe {
            assert_eq!(space(2), libc::CMSG_SPACE(2) as usize);
            assert_eq!(space(4), libc::CMSG_SPACE(4) as usize);
            assert_eq!(HEADER_LEN, libc::CMSG_LEN(0) as usize);
        }
    }
}
