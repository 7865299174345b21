//! Bytes that are kept, of which short ones need no memory of their own: names of programs, paths, command lines.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The longest that are kept in place.
const IN_PLACE: usize = 30;

/// Bytes that do not change.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    InPlace(u8, [u8; IN_PLACE]),
    Elsewhere(Box<[u8]>),
}

impl Deref for Text {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::InPlace(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Kept::Elsewhere(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Text {
    #[inline]
    fn from(bytes: &[u8]) -> Text {
        let mut in_place = [0; IN_PLACE];
        match (in_place.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Text(Kept::InPlace(length, in_place))
            }
            _ => Text(Kept::Elsewhere(bytes.into())),
        }
    }
}

impl<const N: usize> From<&[u8; N]> for Text {
    fn from(bytes: &[u8; N]) -> Text {
        Text::from(bytes.as_slice())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        match bytes.len() {
            0..=IN_PLACE => Text::from(bytes.as_slice()),
            _ => Text(Kept::Elsewhere(bytes.into())),
        }
    }
}

impl From<Box<[u8]>> for Text {
    fn from(bytes: Box<[u8]>) -> Text {
        match bytes.len() {
            0..=IN_PLACE => Text::from(&*bytes),
            _ => Text(Kept::Elsewhere(bytes)),
        }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text(Kept::InPlace(0, [0; IN_PLACE]))
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_wherever_they_are_kept() {
        for length in [0, 1, IN_PLACE - 1, IN_PLACE, IN_PLACE + 1, 300] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let texts = [
                Text::from(bytes.as_slice()),
                Text::from(bytes.clone()),
                Text::from(bytes.clone().into_boxed_slice()),
            ];
            for text in &texts {
                assert_eq!(**text, *bytes);
                assert_eq!(text, &texts[0].clone());
            }
        }
        assert_eq!(*Text::default(), *b"");
        assert!(size_of::<Text>() <= 32);
    }
}
