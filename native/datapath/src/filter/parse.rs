//! The text of a filter, as far as the built-in subset goes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::MAX_TEXT;
use super::expression::{Expression, Join, Number};
use super::primitive::{
    ARP, Direction, ICMP, ICMPV6, IPV4, IPV6, Layers, Prefix, RARP, SCTP, TCP, UDP, any_of,
    ether_addresses, ether_multicast,
};
use crate::wire::mac::MacAddr;

/// What the whole of `text` says.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the filter is longer than {MAX_TEXT} bytes"));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        layers: Layers::default(),
        depth: 0,
        among_values: false,
    };
    if parser.tokens.is_empty() {
        return Ok(Expression::Always);
    }
    let expression = parser.expression(None)?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(format!("`{token}` needs an `and` or `or` before it")),
    }
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if is_part_of_word(first) {
            rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("&&") || rest.starts_with("||") {
            2
        } else if matches!(first, '(' | ')' | '!') && !rest.starts_with("!=") {
            1
        } else {
            return Err(format!("`{first}` is unknown: there is no arithmetic"));
        };
        let (token, behind) = rest.split_at(len);
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

fn is_part_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '/' | '\\')
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    /// Of what is written next.
    layers: Layers,
    /// Parentheses and negations that are open.
    depth: usize,
    /// Between parentheses behind qualifiers, where nothing but values stands.
    among_values: bool,
}

/// What stands before a value and says what it is.
#[derive(Debug, Clone, Copy)]
struct Qualifiers {
    protocol: Option<Protocol>,
    direction: Direction,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Ether,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
}

/// An expression, and what a mere value behind it means.
type Parsed = Result<(Expression, Option<Qualifiers>), String>;

impl<'a> Parser<'a> {
    /// Terms and what joins them, as far as they go.
    fn expression(&mut self, inherited: Option<Qualifiers>) -> Result<Expression, String> {
        let (first, mut qualifiers) = self.term(inherited)?;
        let mut rest = Vec::new();
        while let Some(join) = self.join() {
            let (next, its) = self.term(qualifiers)?;
            rest.push((join, next));
            qualifiers = its;
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Chain(Box::new(first), rest))
    }

    fn join(&mut self) -> Option<Join> {
        let join = match self.peek()? {
            "and" | "&&" => Join::And,
            "or" | "||" => Join::Or,
            _ => return None,
        };
        self.at += 1;
        Some(join)
    }

    fn term(&mut self, inherited: Option<Qualifiers>) -> Parsed {
        if self.take_if("not") || self.take_if("!") {
            let (expression, qualifiers) = self.deeper(|parser| parser.term(inherited))?;
            return Ok((Expression::Not(Box::new(expression)), qualifiers));
        }
        if self.take_if("(") {
            return self.group(inherited);
        }
        self.primitive(inherited)
    }

    /// What stands in parentheses, the first of which was read.
    fn group(&mut self, inherited: Option<Qualifiers>) -> Parsed {
        let expression = self.deeper(|parser| parser.expression(inherited))?;
        match self.next() {
            Some(")") => Ok((expression, None)),
            Some(token) => Err(format!("`{token}` needs an `and` or `or` before it")),
            None => Err("a `)` is missing at the end".into()),
        }
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!(
                "more than {MAX_DEPTH} parentheses and negations lie in each other"
            ));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn primitive(&mut self, inherited: Option<Qualifiers>) -> Parsed {
        let Some(word) = self.peek() else {
            return Err("something is missing at the end".into());
        };
        if let Some(qualifiers) = inherited
            && (self.among_values || !is_word_of_the_language(word))
        {
            self.at += 1;
            let expression = self.value(qualifiers, word)?;
            return Ok((expression, inherited));
        }
        if is_for_many(word) {
            return self.for_many(None).map(|expression| (expression, None));
        }
        if is_counted(word) {
            self.at += 1;
            return self.counted(word).map(|expression| (expression, None));
        }
        if let Some(protocol) = Protocol::named(word) {
            self.at += 1;
            return match self.peek() {
                Some(next) if is_for_many(next) => self
                    .for_many(Some(protocol))
                    .map(|expression| (expression, None)),
                Some(next) if is_qualifier(next) => self.qualified(Some(protocol)),
                _ => self.carried(protocol).map(|expression| (expression, None)),
            };
        }
        if is_qualifier(word) {
            return self.qualified(None);
        }
        Err(format!(
            "`{word}` is no word of the filter language, and none before it says what it is, such as `host`"
        ))
    }

    /// `less N`, `greater N`, `vlan`, `vlan N`.
    fn counted(&mut self, word: &str) -> Result<Expression, String> {
        if word == "vlan" {
            let next = self
                .peek()
                .filter(|t| t.starts_with(|c: char| c.is_ascii_digit()));
            let id = next.map(|next| number(next, 4095)).transpose()?;
            self.at += usize::from(id.is_some());
            let tag = self.layers.vlan(id);
            self.layers.tags += 1;
            return Ok(tag);
        }
        let bound = number(self.value_of(word)?, u32::MAX)?;
        let (least, most) = match word {
            "less" => (0, bound),
            _ => (bound, u32::MAX),
        };
        Ok(Expression::within(Number::WireLen, least, most))
    }

    /// `broadcast` and `multicast`, with or without a protocol.
    fn for_many(&mut self, protocol: Option<Protocol>) -> Result<Expression, String> {
        let word = self.next().unwrap_or_default();
        match (word, protocol) {
            ("broadcast", None | Some(Protocol::Ether)) => {
                Ok(ether_addresses(Direction::Destination, MacAddr::BROADCAST))
            }
            ("multicast", None | Some(Protocol::Ether)) => Ok(ether_multicast()),
            ("multicast", Some(Protocol::Ip)) => Ok(self.layers.ipv4_multicast()),
            ("multicast", Some(Protocol::Ip6)) => Ok(self.layers.ipv6_multicast()),
            _ => Err(format!("`{word}` is not known of this protocol")),
        }
    }

    /// A protocol's word alone.
    fn carried(&self, protocol: Protocol) -> Result<Expression, String> {
        let layers = self.layers;
        let by_both = |number| {
            layers
                .ipv4_protocol(number)
                .or(layers.ipv6_protocol(number))
        };
        Ok(match protocol {
            Protocol::Ether => {
                return Err("`ether` needs `host`, `src`, `dst`, `proto`, `broadcast` or `multicast` behind it".into());
            }
            Protocol::Ip => layers.ether_type(IPV4),
            Protocol::Ip6 => layers.ether_type(IPV6),
            Protocol::Arp => layers.ether_type(ARP),
            Protocol::Rarp => layers.ether_type(RARP),
            Protocol::Tcp => by_both(TCP),
            Protocol::Udp => by_both(UDP),
            Protocol::Sctp => by_both(SCTP),
            Protocol::Icmp => layers.ipv4_protocol(ICMP),
            Protocol::Icmp6 => layers.ipv6_protocol(ICMPV6),
        })
    }

    /// Direction and kind, then a value or several in parentheses.
    fn qualified(&mut self, protocol: Option<Protocol>) -> Parsed {
        let direction = self.direction();
        let kind = match self.peek() {
            Some("host") => Some(Kind::Host),
            Some("net") => Some(Kind::Net),
            Some("port") => Some(Kind::Port),
            Some("portrange") => Some(Kind::PortRange),
            Some("proto") => Some(Kind::Proto),
            _ => None,
        };
        self.at += usize::from(kind.is_some());
        let qualifiers = Qualifiers {
            protocol,
            direction: direction.unwrap_or(Direction::Either),
            kind: kind.unwrap_or(Kind::Host),
        };
        if qualifiers.kind == Kind::Proto && direction.is_some() {
            return Err("`proto` has no direction".into());
        }
        if self.take_if("(") {
            let outside = std::mem::replace(&mut self.among_values, true);
            let values = self.group(Some(qualifiers));
            self.among_values = outside;
            return values;
        }
        let value = self.value_of(self.tokens[self.at - 1])?;
        let expression = self.value(qualifiers, value)?;
        Ok((expression, Some(qualifiers)))
    }

    /// `src`, `dst`, or both with `or` or `and` between them.
    fn direction(&mut self) -> Option<Direction> {
        let one = |token: &str| match token {
            "src" => Some(Direction::Source),
            "dst" => Some(Direction::Destination),
            _ => None,
        };
        let first = self.peek().and_then(one)?;
        self.at += 1;
        let second = self.tokens.get(self.at + 1).copied().and_then(one);
        let both = match (self.peek(), second) {
            (Some("or" | "||"), Some(second)) if second != first => Direction::Either,
            (Some("and" | "&&"), Some(second)) if second != first => Direction::Both,
            _ => return Some(first),
        };
        self.at += 2;
        Some(both)
    }

    fn value(&self, qualifiers: Qualifiers, word: &str) -> Result<Expression, String> {
        match qualifiers.kind {
            Kind::Host | Kind::Net if qualifiers.protocol == Some(Protocol::Ether) => {
                let mac = mac(word).filter(|_| qualifiers.kind == Kind::Host);
                mac.map(|mac| ether_addresses(qualifiers.direction, mac))
                    .ok_or_else(|| format!("`{word}` is no MAC address"))
            }
            Kind::Host => self.addresses(qualifiers, host(word)?),
            Kind::Net => self.addresses(qualifiers, net(word)?),
            Kind::Port => {
                let port = number(word, 0xffff)?;
                self.ports(qualifiers, port, port)
            }
            Kind::PortRange => {
                let (one, other) = word.split_once('-').unwrap_or((word, word));
                let (one, other) = (number(one, 0xffff)?, number(other, 0xffff)?);
                self.ports(qualifiers, one.min(other), one.max(other))
            }
            Kind::Proto => self.protocol(qualifiers, word),
        }
    }

    fn addresses(&self, qualifiers: Qualifiers, prefix: Prefix) -> Result<Expression, String> {
        let v4 = |kinds: &[u32], prefix| {
            let of_kind = |kind: &u32| {
                self.layers
                    .ipv4_addresses(*kind, qualifiers.direction, prefix)
            };
            any_of(kinds.iter().map(of_kind))
        };
        Ok(match (prefix, qualifiers.protocol) {
            (Prefix::V4(address, len), None) => v4(&[IPV4, ARP, RARP], (address, len)),
            (Prefix::V4(address, len), Some(Protocol::Ip)) => v4(&[IPV4], (address, len)),
            (Prefix::V4(address, len), Some(Protocol::Arp)) => v4(&[ARP], (address, len)),
            (Prefix::V4(address, len), Some(Protocol::Rarp)) => v4(&[RARP], (address, len)),
            (Prefix::V6(address, len), None | Some(Protocol::Ip6)) => {
                let direction = qualifiers.direction;
                self.layers.ipv6_addresses(direction, (address, len))
            }
            _ => return Err("the protocol before an address is not one that has it".into()),
        })
    }

    fn ports(&self, qualifiers: Qualifiers, least: u32, most: u32) -> Result<Expression, String> {
        let protocols: &[u32] = match qualifiers.protocol {
            None => &[SCTP, TCP, UDP],
            Some(Protocol::Tcp) => &[TCP],
            Some(Protocol::Udp) => &[UDP],
            Some(Protocol::Sctp) => &[SCTP],
            Some(_) => return Err("the protocol before `port` has no ports".into()),
        };
        let direction = qualifiers.direction;
        Ok(self.layers.ports(protocols, direction, least, most))
    }

    fn protocol(&self, qualifiers: Qualifiers, word: &str) -> Result<Expression, String> {
        let layers = self.layers;
        if qualifiers.protocol == Some(Protocol::Ether) {
            let ether_type = number(word, 0xffff)?;
            if ether_type <= LONGEST_802_3 || matches!(ether_type, APPLETALK | APPLETALK_ARP) {
                return Err(format!(
                    "`ether proto {word}` is about LLC, which is not looked at"
                ));
            }
            return Ok(layers.ether_type(ether_type));
        }
        let protocol = number(word, 0xff)?;
        match qualifiers.protocol {
            None => Ok(layers
                .ipv4_protocol(protocol)
                .or(layers.ipv6_protocol(protocol))),
            Some(Protocol::Ip) => Ok(layers.ipv4_protocol(protocol)),
            Some(Protocol::Ip6) => Ok(layers.ipv6_protocol(protocol)),
            Some(_) => Err("`proto` needs `ether`, `ip` or `ip6` before it, or nothing".into()),
        }
    }

    fn value_of(&mut self, word: &str) -> Result<&'a str, String> {
        let missing = || format!("`{word}` needs a value behind it");
        let value = self
            .peek()
            .filter(|token| token.starts_with(is_part_of_word));
        self.at += 1;
        value.ok_or_else(missing)
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    fn take_if(&mut self, token: &str) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }
}

impl Protocol {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "ether" => Self::Ether,
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "arp" => Self::Arp,
            "rarp" => Self::Rarp,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            "icmp" => Self::Icmp,
            "icmp6" => Self::Icmp6,
            _ => return None,
        })
    }
}

fn is_qualifier(word: &str) -> bool {
    matches!(
        word,
        "src" | "dst" | "host" | "net" | "port" | "portrange" | "proto"
    )
}

fn is_for_many(word: &str) -> bool {
    matches!(word, "broadcast" | "multicast")
}

fn is_counted(word: &str) -> bool {
    matches!(word, "less" | "greater" | "vlan")
}

fn is_word_of_the_language(word: &str) -> bool {
    is_qualifier(word)
        || is_for_many(word)
        || is_counted(word)
        || Protocol::named(word).is_some()
        || matches!(word, "and" | "or" | "&&" | "||" | ")")
}

/// Decimal, octal behind a 0, hexadecimal behind 0x.
fn number(word: &str, most: u32) -> Result<u32, String> {
    let (digits, radix) = match word.strip_prefix('0') {
        Some(rest) if rest.starts_with(['x', 'X']) => (&rest[1..], 16),
        Some(rest) if !rest.is_empty() => (rest, 8),
        _ => (word, 10),
    };
    // The standard library also takes a sign.
    let value = digits
        .starts_with(|c: char| c.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, radix).ok());
    match value.flatten() {
        Some(value) if value <= most => Ok(value),
        _ => Err(format!("`{word}` is no number from 0 to {most}")),
    }
}

fn host(word: &str) -> Result<Prefix, String> {
    if let Ok(address) = word.parse::<Ipv4Addr>() {
        return Ok(Prefix::V4(address, 32));
    }
    if let Ok(address) = word.parse::<Ipv6Addr>() {
        return Ok(Prefix::V6(address, 128));
    }
    Err(format!("`{word}` is no IP address"))
}

/// `10.0.0.0/8`, `fd00::/8`; without a length `10.1` has the 16 bits that are written out.
fn net(word: &str) -> Result<Prefix, String> {
    let (address, len) = match word.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (word, None),
    };
    let len = |most| len.map(|len| number(len, most)).transpose();
    let prefix = if let Ok(address) = address.parse::<Ipv6Addr>() {
        Prefix::V6(address, len(128)?.unwrap_or(128))
    } else if let Some((address, written)) = dotted(address) {
        Prefix::V4(address, len(32)?.unwrap_or(written))
    } else {
        return Err(format!("`{word}` is no IP network"));
    };
    if !prefix.is_network() {
        return Err(format!("`{word}` has bits set behind its length"));
    }
    Ok(prefix)
}

/// The first two to four bytes of an IPv4 address, and how many bits they are.
fn dotted(word: &str) -> Option<(Ipv4Addr, u32)> {
    let mut octets = [0; 4];
    let mut written = 0;
    for part in word.split('.') {
        let is_number = part.starts_with(|c: char| c.is_ascii_digit());
        *octets.get_mut(written)? = part.parse().ok().filter(|_| is_number)?;
        written += 1;
    }
    (written > 1).then(|| (Ipv4Addr::from(octets), 8 * written as u32))
}

fn mac(word: &str) -> Option<MacAddr> {
    let mut octets = [0; 6];
    let mut parts = word.split(':');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddr(octets))
}

const MAX_DEPTH: usize = 64;

/// Up to here the type of a frame is its length (IEEE 802.3 §3.2.6), and a protocol stands in the LLC header.
const LONGEST_802_3: u32 = 1500;
/// libpcap finds these also in frames with SNAP headers.
const APPLETALK: u32 = 0x809b;
const APPLETALK_ARP: u32 = 0x80f3;

#[cfg(test)]
mod tests;
