//! What the built-in subset compiles to: tests of single numbers, joined.

use super::load::{Width, ipv4_header_len};

/// A condition on a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Every frame.
    Always,
    /// `number & mask` lies from `least` to `most`.
    Test {
        number: Number,
        mask: u32,
        least: u32,
        most: u32,
    },
    /// The other frames.
    Not(Box<Expression>),
    /// From left to right, each with what came of those before it; not looked at if that already says it.
    Chain(Box<Expression>, Vec<(Join, Expression)>),
}

/// How an expression is joined to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

/// A number that a frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// Its length on the wire.
    WireLen,
    /// At this offset.
    At(Width, usize),
    /// 2 bytes at this offset behind the IPv4 header that begins at `ip`.
    BehindIpv4 { ip: usize, at: usize },
}

impl Expression {
    pub(super) fn equal(number: Number, value: u32) -> Self {
        Self::masked(number, u32::MAX, value)
    }

    pub(super) fn masked(number: Number, mask: u32, value: u32) -> Self {
        Self::Test {
            number,
            mask,
            least: value,
            most: value,
        }
    }

    pub(super) fn within(number: Number, least: u32, most: u32) -> Self {
        Self::Test {
            number,
            mask: u32::MAX,
            least,
            most,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.joined(Join::And, other)
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.joined(Join::Or, other)
    }

    fn joined(self, join: Join, other: Self) -> Self {
        Self::Chain(Box::new(self), vec![(join, other)])
    }

    /// Whether it holds; `None` if that depends on bytes behind the frame's end.
    pub(super) fn holds(&self, frame: &[u8], wire_len: u32) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Test {
                number,
                mask,
                least,
                most,
            } => {
                let value = number.of(frame, wire_len)? & mask;
                Some((*least..=*most).contains(&value))
            }
            Self::Not(expression) => Some(!expression.holds(frame, wire_len)?),
            Self::Chain(first, rest) => {
                let mut holds = first.holds(frame, wire_len)?;
                for (join, expression) in rest {
                    if holds == (*join == Join::And) {
                        holds = expression.holds(frame, wire_len)?;
                    }
                }
                Some(holds)
            }
        }
    }
}

impl Number {
    fn of(self, frame: &[u8], wire_len: u32) -> Option<u32> {
        match self {
            Self::WireLen => Some(wire_len),
            Self::At(width, at) => width.read(frame, at),
            Self::BehindIpv4 { ip, at } => {
                let header_len = ipv4_header_len(frame, ip)? as usize;
                Width::Half.read(frame, ip + header_len + at)
            }
        }
    }
}
