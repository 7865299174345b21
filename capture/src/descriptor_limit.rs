//! How many descriptors this process may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many the rest of the process may need.
const SPARE: u64 = 512;

/// Makes room for so many more, as far as this process may; gives how many there is room for.
pub(crate) fn allow(count: usize) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    let wanted = u64::try_from(count).unwrap_or(hard).saturating_add(SPARE);
    let mut limit = soft;
    // Where it is not enough, the kernel says so of the one that is too many.
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).is_ok() {
        limit = wanted.min(hard);
    }
    usize::try_from(limit.saturating_sub(SPARE))
        .unwrap_or(count)
        .min(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_as_the_limit_lets() {
        assert_eq!(allow(0), 0);
        let few = allow(10);
        assert!(few <= 10);
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let most = usize::try_from(hard.saturating_sub(SPARE)).unwrap().min(2000);
        assert_eq!(allow(2000), most);
        assert_eq!(
            getrlimit(Resource::RLIMIT_NOFILE).unwrap().1,
            hard,
            "that is not changed"
        );
    }
}
