//! What a chunk of data is made of.

/// One thing that happened. In the file: four bytes, the lowest its kind and the others its length; then its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A record, as the ring gave it.
    Record(&'a [u8]),
    /// A question the consumer asked, and the answer.
    Answer {
        question: &'a [u8],
        answer: Option<&'a [u8]>,
    },
    /// The consumer did its chores at this time, in nanoseconds since boot.
    Chores(u64),
    /// A container is new or changed.
    Container(&'a [u8]),
    /// The container with this key is gone.
    ContainerGone(&'a [u8]),
    /// The consumer looked at the containers: those before this are known from here on.
    Containers,
    /// The names of addresses, all of them.
    AddressNames(&'a [u8]),
    /// Something a newer Lanner wrote.
    Unknown,
}

const RECORD: u8 = 1;
const ANSWER: u8 = 2;
const CHORES: u8 = 3;
const CONTAINER: u8 = 4;
const CONTAINER_GONE: u8 = 5;
const CONTAINERS: u8 = 6;
const ADDRESS_NAMES: u8 = 7;

/// The longest item there can be.
pub(crate) const ITEM_MAX: usize = 0xff_ffff;

impl<'a> Item<'a> {
    /// Appends an item; false, and nothing is appended, when it is longer than an item can be.
    pub(crate) fn push(self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend([0; 4]);
        let kind = match self {
            Item::Record(bytes) => {
                out.extend_from_slice(bytes);
                RECORD
            }
            Item::Answer { question, answer } => {
                // A question is a path at most, and paths are shorter than 64 KiB.
                let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
                out.extend(length.to_le_bytes());
                out.extend_from_slice(&question[..usize::from(length)]);
                out.push(u8::from(answer.is_some()));
                out.extend_from_slice(answer.unwrap_or_default());
                ANSWER
            }
            Item::Chores(now) => {
                out.extend(now.to_le_bytes());
                CHORES
            }
            Item::Container(bytes) => {
                out.extend_from_slice(bytes);
                CONTAINER
            }
            Item::ContainerGone(id) => {
                out.extend_from_slice(id);
                CONTAINER_GONE
            }
            Item::Containers => CONTAINERS,
            Item::AddressNames(bytes) => {
                out.extend_from_slice(bytes);
                ADDRESS_NAMES
            }
            Item::Unknown => 0,
        };
        let length = out.len() - start - 4;
        if length > ITEM_MAX {
            out.truncate(start);
            return false;
        }
        let head = u32::try_from(length).unwrap_or(0) << 8 | u32::from(kind);
        out[start..start + 4].copy_from_slice(&head.to_le_bytes());
        true
    }

    /// The item at the start of `bytes`, and what follows it; `None` when the bytes are no item.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Item<'a>, &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk()?;
        let head = u32::from_le_bytes(*head);
        let (body, rest) = rest.split_at_checked((head >> 8) as usize)?;
        let item = match (head & 0xff) as u8 {
            RECORD => Item::Record(body),
            ANSWER => {
                let (length, body) = body.split_first_chunk()?;
                let (question, body) = body.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
                let (&has, answer) = body.split_first()?;
                Item::Answer {
                    question,
                    answer: (has != 0).then_some(answer),
                }
            }
            CHORES => Item::Chores(u64::from_le_bytes(body.try_into().ok()?)),
            CONTAINER => Item::Container(body),
            CONTAINER_GONE => Item::ContainerGone(body),
            CONTAINERS => Item::Containers,
            ADDRESS_NAMES => Item::AddressNames(body),
            _ => Item::Unknown,
        };
        Some((item, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_as_they_were_written_and_cut_ones_are_refused() {
        let items = [
            Item::Record(b"abc"),
            Item::Answer {
                question: b"\x01/proc/1/stat",
                answer: Some(b"1 (init)"),
            },
            Item::Answer {
                question: b"q",
                answer: None,
            },
            Item::Chores(7),
            Item::Container(b"c"),
            Item::ContainerGone(b"d"),
            Item::Containers,
            Item::AddressNames(b""),
        ];
        let mut bytes = Vec::new();
        for item in items {
            assert!(item.push(&mut bytes));
        }
        let mut rest = bytes.as_slice();
        for item in items {
            let (read, after) = Item::read(rest).unwrap();
            assert_eq!(read, item);
            assert!(
                Item::read(&rest[..rest.len() - after.len() - 1]).is_none(),
                "{item:?}"
            );
            rest = after;
        }
        assert!(rest.is_empty());
        assert_eq!(Item::read(&[99, 0, 0, 0]), Some((Item::Unknown, &[][..])));
        let long = vec![0; ITEM_MAX + 1];
        assert!(!Item::Record(&long).push(&mut bytes));
    }
}
