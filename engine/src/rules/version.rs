//! Versions that rules files require.

use std::fmt;

/// The version of Falco's rules engine that Lanner's is compatible with.
pub const ENGINE: Version = Version(0, 63, 0);

/// What is built in of Falco's plugins, and the version it counts as: the container plugin's fields, whatever version of it a
/// rules file asks for: a minor version that it will not reach.
pub const BUILT_IN_PLUGINS: [(&str, Version); 1] = [("container", Version(0, 999, 0))];

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads `x.y.z`; a pre-release after `-` or `+` is not looked at.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let mut parts = text.split(['-', '+']).next()?.split('.');
        let mut number = || parts.next()?.parse().ok();
        let version = Version(number()?, number()?, number()?);
        parts.next().is_none().then_some(version)
    }

    /// Reads an engine version: `x.y.z`, or an integer N that means 0.N.0.
    pub(crate) fn engine(text: &str) -> Option<Version> {
        let text = text.trim();
        text.parse()
            .ok()
            .map(|minor| Version(0, minor, 0))
            .or_else(|| Version::parse(text))
    }

    /// True when something of this version does for `required`.
    pub(crate) fn satisfies(self, required: Version) -> bool {
        self.0 == required.0 && self >= required
    }
}

/// True when the plugin is built in, in this version or a newer one.
pub(crate) fn has_plugin(name: &str, version: &str) -> bool {
    BUILT_IN_PLUGINS.iter().any(|(known, available)| {
        *known == name && Version::parse(version).is_some_and(|required| available.satisfies(required))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minor_versions() {
        assert_eq!(Version::engine("31"), Some(Version(0, 31, 0)));
        assert_eq!(Version::engine("0.57.0"), Some(Version(0, 57, 0)));
        assert_eq!(Version::engine("0.57"), None);
        assert_eq!(Version::engine("new"), None);
    }

    #[test]
    fn only_the_same_major_satisfies() {
        assert!(ENGINE.satisfies(Version(0, 57, 0)));
        assert!(!ENGINE.satisfies(Version(0, 64, 0)));
        assert!(!ENGINE.satisfies(Version(1, 0, 0)));
        assert!(has_plugin("container", "0.4.0"));
        assert!(!has_plugin("k8saudit", "0.1.0"));
    }
}
