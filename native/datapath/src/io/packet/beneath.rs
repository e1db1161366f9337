//! Which interfaces the traffic of another passes.

use super::super::netlink::Link;
use std::collections::HashSet;

/// Whether what is sent by one of `tops` passes the interface `ifindex` of the same namespace: it is one of them, or what
/// one is made on (a VLAN's or macvlan's, the other end of a veth pair), or a member of one (of a bridge, a bond), however
/// many lie between. `links` are all of the namespace, indices of interfaces elsewhere left out.
pub(super) fn is_beneath(
    links: &[Link],
    tops: impl IntoIterator<Item = u32>,
    ifindex: u32,
) -> bool {
    let mut to_look_at: Vec<u32> = tops.into_iter().collect();
    let mut seen: HashSet<u32> = to_look_at.iter().copied().collect();
    while let Some(top) = to_look_at.pop() {
        let base = links
            .iter()
            .find(|link| link.ifindex == top)
            .and_then(|link| link.base);
        let members = links.iter().filter(|link| link.master == Some(top));
        // Each at most once, so the walk ends even where interfaces stand in a ring, as the ends of a pair do.
        to_look_at.extend(
            base.into_iter()
                .chain(members.map(|link| link.ifindex))
                .filter(|&below| seen.insert(below)),
        );
    }
    seen.contains(&ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, base: Option<u32>, master: Option<u32>) -> Link {
        Link {
            ifindex,
            base,
            master,
            ..Link::default()
        }
    }

    #[test]
    fn an_interface_is_beneath_itself_and_no_stranger() {
        let links = [link(1, None, None), link(2, None, None)];
        assert!(is_beneath(&links, [1], 1));
        assert!(!is_beneath(&links, [1], 2));
        assert!(!is_beneath(&links, [], 1));
    }

    #[test]
    fn members_and_bases_are_beneath_however_deep() {
        // A VLAN (5) on a bridge (4), whose members are a bond (3) of two NICs (1, 2) and a macvlan (6) on a third (7).
        let links = [
            link(1, None, Some(3)),
            link(2, None, Some(3)),
            link(3, None, Some(4)),
            link(4, None, None),
            link(5, Some(4), None),
            link(6, Some(7), Some(4)),
            link(7, None, None),
            link(8, Some(7), None),
        ];
        for ifindex in 1..=7 {
            assert!(is_beneath(&links, [5], ifindex), "{ifindex}");
        }
        // Beside it on the same NIC, or above.
        assert!(!is_beneath(&links, [5], 8));
        assert!(!is_beneath(&links, [3], 4));
    }

    #[test]
    fn the_ends_of_a_pair_are_beneath_each_other() {
        let links = [link(1, Some(2), None), link(2, Some(1), None)];
        assert!(is_beneath(&links, [1], 2));
        assert!(!is_beneath(&links, [1], 3));
    }
}
