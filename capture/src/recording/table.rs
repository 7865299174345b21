//! The table of events a recording was made with, and how its records become records of this one.

use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, EventRow, EventSet, Origin, Param, ParamType};
use lanner_schema::record::{FLAG_IO_URING, HEADER_LEN, LAYOUT, RequestTail, Wire, push_task_values};
use lanner_schema::task::TaskValue;

use super::error::RecordingError;
use crate::plan::Plan;
use crate::tier::Tier;

/// How a parameter's bytes are to be read. The numbers are in recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    Signed = 1,
    Unsigned = 2,
    Text = 3,
    Bytes = 4,
    /// What was passed, and the directory it starts from.
    UserPath = 5,
    /// Components.
    KernelPath = 6,
    Tuple = 7,
    /// Bytes with a layout of the extractor's own.
    Extracted = 8,
}

fn form(param: &Param) -> Form {
    match (param.from, param.ty) {
        (Origin::UserPath { .. }, _) => Form::UserPath,
        (_, ParamType::FsPath | ParamType::FsRelPath(_)) => Form::KernelPath,
        (_, ParamType::SockTuple | ParamType::SockAddr) => Form::Tuple,
        (_, ParamType::CharBuf) => Form::Text,
        (_, ParamType::ByteBuf) if param.hidden => Form::Extracted,
        (_, ParamType::ByteBuf) => Form::Bytes,
        (_, ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I32 | ParamType::I64) => {
            Form::Signed
        }
        _ => Form::Unsigned,
    }
}

const INTERNAL: u8 = 1;
const SHOWN: u8 = 2;
const READ: u8 = 1;
const ENVIRONMENT: u8 = 1;
const CGROUPS: u8 = 2;
const WITHOUT_TYPES: u8 = 4;
const UNHEARD: u8 = 8;

fn push_text(out: &mut Vec<u8>, text: &str) {
    // No name in the table is that long; a test holds it.
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// What of everything is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    /// Events that rules are shown.
    pub(crate) shown: EventSet,
    /// Per event, the on-demand parameters that are read.
    pub(crate) params: [u32; EVENT_COUNT],
    /// The environment of processes.
    pub(crate) environment: bool,
    /// The cgroups of processes.
    pub(crate) cgroups: bool,
    /// Records lack what takes the kernel's types, and /proc was asked for it.
    pub(crate) without_types: bool,
    /// Nobody told of execs and ends.
    pub(crate) unheard: bool,
}

impl From<&Plan> for Recorded {
    fn from(plan: &Plan) -> Recorded {
        Recorded {
            shown: plan.shown,
            params: plan.params,
            environment: plan.environment,
            cgroups: plan.cgroups,
            without_types: plan.tier == Tier::Raw,
            unheard: plan.is_unheard(),
        }
    }
}

impl Recorded {
    /// Everything there is of these events.
    pub(crate) fn whole(shown: EventSet) -> Recorded {
        Recorded {
            shown,
            params: [u32::MAX; EVENT_COUNT],
            environment: true,
            cgroups: true,
            without_types: false,
            unheard: false,
        }
    }
}

/// The table as bytes, with what of it is recorded.
pub(crate) fn bytes(recorded: &Recorded) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(LAYOUT.to_le_bytes());
    out.extend(u16::try_from(EVENTS.len()).unwrap_or(u16::MAX).to_le_bytes());
    for row in EVENTS {
        push_text(&mut out, row.name);
        let internal = if row.is_internal() { INTERNAL } else { 0 };
        let shown = if recorded.shown.contains(row.event) {
            SHOWN
        } else {
            0
        };
        out.push(internal | shown);
        out.push(u8::try_from(row.params.len()).unwrap_or(u8::MAX));
        let read = recorded.params.get(row.event as usize).copied().unwrap_or(0);
        for (index, param) in row.params.iter().enumerate() {
            push_text(&mut out, param.name);
            out.push(form(param) as u8);
            let wanted = !param.on_demand || read & (1u32.checked_shl(index as u32).unwrap_or(0)) != 0;
            out.push(if wanted { READ } else { 0 });
        }
    }
    let environment = if recorded.environment { ENVIRONMENT } else { 0 };
    let cgroups = if recorded.cgroups { CGROUPS } else { 0 };
    let without_types = if recorded.without_types { WITHOUT_TYPES } else { 0 };
    let unheard = if recorded.unheard { UNHEARD } else { 0 };
    out.push(environment | cgroups | without_types | unheard);
    out.push(u8::try_from(TaskValue::ALL.len()).unwrap_or(u8::MAX));
    for value in TaskValue::ALL {
        push_text(&mut out, value.name());
    }
    out
}

/// A row of a recording's table, and where its values go.
#[derive(Debug)]
struct Row {
    /// The event here; `None` when this Lanner has none of that name.
    event: Option<Event>,
    /// How many parameters its records have.
    params: usize,
    /// Per parameter here, which of the record's it is.
    from: Vec<Option<usize>>,
}

/// How records of a recording become records of this table.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Nothing has to be changed.
    same: bool,
    rows: Vec<Row>,
    /// Events that were recorded for rules to see.
    pub(crate) shown: EventSet,
    /// Per event, parameters that were read although they cost.
    pub(crate) params: Vec<(Event, u32)>,
    /// Events of the recording that this Lanner does not know.
    pub(crate) unknown: Vec<String>,
    /// The environment of processes was kept.
    pub(crate) environment: bool,
    /// The cgroups of processes were kept.
    pub(crate) cgroups: bool,
    /// Records lack what takes the kernel's types, and /proc was asked for it.
    pub(crate) without_types: bool,
    /// Nobody told of execs and ends.
    pub(crate) unheard: bool,
    /// The values of threads in the recording's order; `None` for one that this Lanner does not know.
    task: Vec<Option<TaskValue>>,
    buffer: Vec<u8>,
}

/// Reads a table's bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn short(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

/// The row with this name, which is likely the one at `index`.
fn row_of(index: u16, name: &str, internal: bool) -> Option<&'static EventRow> {
    let is_it = |row: &&EventRow| row.name == name && row.is_internal() == internal;
    let likely = EVENTS.get(usize::from(index)).filter(is_it);
    likely.or_else(|| EVENTS.iter().find(is_it))
}

impl Mapping {
    /// Compares a recording's table with this one.
    ///
    /// # Errors
    /// When the records have another layout, or one parameter is written differently.
    pub(crate) fn read(bytes: &[u8]) -> Result<Mapping, RecordingError> {
        let cut = || RecordingError::Table("it can't be read".into());
        let mut reader = Reader(bytes);
        let layout = reader.short().ok_or_else(cut)?;
        if layout != LAYOUT {
            return Err(RecordingError::Table(format!(
                "its records have layout {layout}, and this Lanner reads layout {LAYOUT}"
            )));
        }
        let count = reader.short().ok_or_else(cut)?;
        let mut mapping = Mapping {
            same: usize::from(count) == EVENTS.len(),
            rows: Vec::new(),
            shown: EventSet::NONE,
            params: Vec::new(),
            unknown: Vec::new(),
            environment: false,
            cgroups: false,
            without_types: false,
            unheard: false,
            task: Vec::new(),
            buffer: Vec::new(),
        };
        for index in 0..count {
            mapping.row(index, &mut reader).ok_or_else(cut)??;
        }
        mapping.task(&mut reader).ok_or_else(cut)?;
        Ok(mapping)
    }

    fn row(&mut self, index: u16, reader: &mut Reader<'_>) -> Option<Result<(), RecordingError>> {
        let name = reader.text()?;
        let flags = reader.byte()?;
        let params = usize::from(reader.byte()?);
        let row = row_of(index, name, flags & INTERNAL != 0);
        let mut from = vec![None; row.map_or(0, |row| row.params.len())];
        let mut read = 0u32;
        for position in 0..params {
            let param = reader.text()?;
            let recorded = reader.byte()?;
            let was_read = reader.byte()? & READ != 0;
            let Some((here, index)) = row.and_then(|row| Some((row, row.param(param)?))) else {
                continue;
            };
            if form(&here.params[index]) as u8 != recorded {
                return Some(Err(RecordingError::Table(format!(
                    "parameter {param} of {name} is written differently there"
                ))));
            }
            from[index] = Some(position);
            if was_read && here.params[index].on_demand {
                read |= 1 << index;
            }
        }
        match row {
            Some(row) => {
                let in_order = from.iter().enumerate().all(|(index, from)| *from == Some(index));
                self.same &= row.event as u16 == index && in_order && params == row.params.len();
                if flags & SHOWN != 0 && !row.is_internal() {
                    self.shown.insert(row.event);
                }
                self.params.push((row.event, read));
            }
            None => {
                self.same = false;
                if flags & SHOWN != 0 {
                    self.unknown.push(name.to_owned());
                }
            }
        }
        self.rows.push(Row {
            event: row.map(|row| row.event),
            params,
            from,
        });
        Some(Ok(()))
    }

    fn task(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let kept = reader.byte()?;
        self.environment = kept & ENVIRONMENT != 0;
        self.cgroups = kept & CGROUPS != 0;
        self.without_types = kept & WITHOUT_TYPES != 0;
        self.unheard = kept & UNHEARD != 0;
        for _ in 0..reader.byte()? {
            let name = reader.text()?;
            let known = TaskValue::ALL.iter().find(|value| value.name() == name);
            self.task.push(known.copied());
        }
        self.same &= TaskValue::ALL
            .iter()
            .map(|value| Some(*value))
            .eq(self.task.iter().copied());
        Some(())
    }

    /// The record as this table has it; `None` when its event is not known here, or it is no record.
    pub(crate) fn map<'a>(&'a mut self, record: &'a [u8]) -> Option<&'a [u8]> {
        if self.same {
            return Some(record);
        }
        let index = u16::from_le_bytes(*record.first_chunk()?);
        let row = self.rows.get(usize::from(index))?;
        let (header, rest) = record.split_at_checked(HEADER_LEN)?;
        let (rest, tail) = match header[3] & FLAG_IO_URING {
            0 => (rest, None),
            _ => RequestTail::split(rest).map(|(rest, tail)| (rest, Some(tail)))?,
        };
        let wire = Wire::read(rest, row.params)?;
        self.buffer.clear();
        self.buffer.extend((row.event? as u16).to_le_bytes());
        self.buffer.extend_from_slice(&header[2..]);
        let param = |from: &Option<usize>| wire.param((*from)?);
        for from in &row.from {
            let length = param(from).map_or(0, |param| param.length());
            self.buffer.extend(length.to_le_bytes());
        }
        for from in &row.from {
            let bytes = param(from).map_or(&[][..], |param| param.bytes);
            self.buffer.extend_from_slice(bytes);
        }
        let mut values: Vec<(TaskValue, u64)> = wire
            .task_values()
            .filter_map(|(number, value)| Some(((*self.task.get(number)?)?, value)))
            .collect();
        if !values.is_empty() {
            values.sort_unstable();
            push_task_values(&mut self.buffer, &values);
        }
        if let Some(tail) = tail {
            tail.write(&mut self.buffer);
        }
        Some(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::{Header, WireBuilder};

    fn shown() -> EventSet {
        [Event::Openat].into_iter().collect()
    }

    fn bytes() -> Vec<u8> {
        super::bytes(&Recorded {
            cgroups: false,
            ..Recorded::whole(shown())
        })
    }

    /// A table of one row.
    fn table(name: &str, params: &[(&str, Form)]) -> Vec<u8> {
        let mut out = LAYOUT.to_le_bytes().to_vec();
        out.extend(1u16.to_le_bytes());
        push_text(&mut out, name);
        out.push(SHOWN);
        out.push(u8::try_from(params.len()).unwrap());
        for (name, form) in params {
            push_text(&mut out, name);
            out.extend([*form as u8, READ]);
        }
        out.extend([CGROUPS, 3]);
        for name in ["cap_effective", "of_a_newer_lanner", "vtid"] {
            push_text(&mut out, name);
        }
        out
    }

    #[test]
    fn names_are_unique_and_short_enough() {
        for row in EVENTS {
            assert!(row.name.len() < 255 && row.params.iter().all(|p| p.name.len() < 255));
            assert_eq!(row_of(0, row.name, row.is_internal()).unwrap().event, row.event);
            for (index, param) in row.params.iter().enumerate() {
                assert_eq!(row.param(param.name), Some(index), "{}.{}", row.name, param.name);
            }
        }
    }

    #[test]
    fn records_of_this_table_are_taken_as_they_are() {
        let mut mapping = Mapping::read(&bytes()).unwrap();
        assert!(mapping.same);
        assert_eq!(mapping.shown, shown());
        assert!(mapping.unknown.is_empty());
        let ino = 1 << Event::Openat.row().param("ino").unwrap();
        let read = mapping
            .params
            .iter()
            .find(|(event, _)| *event == Event::Openat)
            .unwrap();
        assert_ne!(read.1 & ino, 0);
        assert_eq!(mapping.map(b"anything"), Some(&b"anything"[..]));
    }

    #[test]
    fn records_of_another_table_are_mapped_by_name() {
        let recorded = [
            ("flags", Form::Unsigned),
            ("of_a_newer_lanner", Form::Bytes),
            ("dirfd", Form::Signed),
        ];
        let mut mapping = Mapping::read(&table("openat", &recorded)).unwrap();
        let mut record = Vec::new();
        Header {
            event: 0,
            pid: 7,
            ..Header::default()
        }
        .write(&mut record);
        record.extend(WireBuilder::new().number(2).bytes(b"new").number(-100).build());
        // The mask of the three values, and they.
        record.extend(7u32.to_le_bytes());
        record.extend([11u64, 22, 33].iter().flat_map(|value| value.to_le_bytes()));
        let mapped = mapping.map(&record).unwrap();
        let header = Header::read(mapped).unwrap();
        assert_eq!((header.event, header.pid), (Event::Openat as u16, 7));
        let row = Event::Openat.row();
        let wire = Wire::read(&mapped[HEADER_LEN..], row.params.len()).unwrap();
        let number = |name| wire.number(row.param(name).unwrap());
        assert_eq!(number("flags"), Some(2));
        assert_eq!(number("dirfd"), Some(-100i64 as u64));
        assert_eq!(number("mode"), None);
        assert_eq!(
            (wire.task(TaskValue::Vtid), wire.task(TaskValue::CapEffective)),
            (Some(33), Some(11))
        );
        assert_eq!(wire.task_values().count(), 2);
        assert!(mapping.cgroups && !mapping.environment);
        assert_eq!(mapping.map(&record[..50]), None);
        record[0] = 9;
        assert_eq!(mapping.map(&record), None);
    }

    #[test]
    fn events_nobody_knows_are_named_and_their_records_left_out() {
        let mut mapping = Mapping::read(&table("quantum_open", &[("res", Form::Signed)])).unwrap();
        assert_eq!(mapping.unknown, ["quantum_open"]);
        let mut record = Vec::new();
        Header::default().write(&mut record);
        record.extend(WireBuilder::new().number(2).build());
        assert_eq!(mapping.map(&record), None);
    }

    #[test]
    fn what_would_be_misread_is_refused() {
        let error = Mapping::read(&table("openat", &[("dirfd", Form::Text)])).unwrap_err();
        assert!(error.to_string().contains("parameter dirfd of openat"), "{error}");
        let mut other = bytes();
        other[0] = 99;
        let error = Mapping::read(&other).unwrap_err();
        assert!(error.to_string().contains("layout"), "{error}");
        let bytes = bytes();
        for length in (0..bytes.len()).step_by(41) {
            assert!(Mapping::read(&bytes[..length]).is_err());
        }
    }
}
