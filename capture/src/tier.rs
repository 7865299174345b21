//! The ways of getting events.

use std::fmt;

use lanner_schema::tier;

/// A way of getting events, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tier {
    /// The best the host allows that starts at once.
    #[default]
    Auto,
    /// A where the host allows it, else as `Auto`.
    PreferTrampoline,
    /// A: fexit programs on the system calls that are needed.
    Trampoline,
    /// B: one program on the return of every system call.
    SysExit,
    /// C: raw tracepoints without type information.
    Raw,
    /// D: no BPF.
    None,
}

impl Tier {
    /// Reads `engine.tier`.
    pub fn parse(word: &str) -> Option<Tier> {
        Some(match word {
            "auto" => Tier::Auto,
            "prefer_trampoline" => Tier::PreferTrampoline,
            "trampoline" => Tier::Trampoline,
            "sys_exit" => Tier::SysExit,
            "raw" => Tier::Raw,
            "none" => Tier::None,
            _ => return None,
        })
    }

    /// The tier the tables know by this name; none before one is chosen.
    pub fn chosen(self) -> Option<tier::Tier> {
        match self {
            Tier::Auto | Tier::PreferTrampoline => None,
            Tier::Trampoline => Some(tier::Tier::Trampoline),
            Tier::SysExit => Some(tier::Tier::SysExit),
            Tier::Raw => Some(tier::Tier::Raw),
            Tier::None => Some(tier::Tier::None),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tier::Auto => "auto",
            Tier::PreferTrampoline => "prefer_trampoline",
            Tier::Trampoline => "trampoline",
            Tier::SysExit => "sys_exit",
            Tier::Raw => "raw",
            Tier::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_read_what_they_print() {
        let words = [Tier::Auto, Tier::PreferTrampoline];
        let chosen = [Tier::Trampoline, Tier::SysExit, Tier::Raw, Tier::None];
        for tier in words.into_iter().chain(chosen) {
            assert_eq!(Tier::parse(&tier.to_string()), Some(tier));
            assert_eq!(tier.chosen(), tier::Tier::from_name(&tier.to_string()));
        }
        assert_eq!(Tier::parse("modern_ebpf"), None);
    }
}
