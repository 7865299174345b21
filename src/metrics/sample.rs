//! One number, with the names it has in both faces: Prometheus' and Falco's snapshots.

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Real(f64),
}

/// How a number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Its name for Prometheus; none when it is in snapshots only.
    pub(super) metric: Option<&'static str>,
    /// Its name in snapshots; none when Prometheus alone has it.
    pub(super) field: Option<String>,
    pub(super) kind: Kind,
    pub(super) value: Value,
    /// What a snapshot has instead of the number.
    pub(super) text: Option<String>,
    /// In the order of their names.
    pub(super) labels: Vec<(String, String)>,
    /// What it is, for numbers that Falco does not have.
    pub(super) help: Option<&'static str>,
    /// It is there with any configuration, and when it is 0.
    pub(super) always: bool,
}

impl Sample {
    fn new(kind: Kind, value: Value) -> Sample {
        Sample {
            metric: None,
            field: None,
            kind,
            value,
            text: None,
            labels: Vec::new(),
            help: None,
            always: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self.value {
            Value::Whole(value) => value == 0,
            Value::Real(value) => value == 0.0,
        }
    }
}

/// Numbers in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Samples(pub(super) Vec<Sample>);

impl Samples {
    fn push(&mut self, sample: Sample) -> &mut Sample {
        self.0.push(sample);
        // There is one: it was pushed.
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// A number that Falco has too.
    pub(super) fn falco(
        &mut self,
        metric: &'static str,
        field: &str,
        kind: Kind,
        value: Value,
    ) -> &mut Sample {
        self.push(Sample {
            metric: Some(metric),
            field: Some(field.to_owned()),
            ..Sample::new(kind, value)
        })
    }

    /// A text that Falco has too: as a label for Prometheus.
    pub(super) fn info(&mut self, metric: &'static str, field: &str, label: &str, text: &str) -> &mut Sample {
        self.push(Sample {
            metric: Some(metric),
            field: Some(field.to_owned()),
            text: Some(text.to_owned()),
            labels: vec![(label.to_owned(), text.to_owned())],
            always: true,
            ..Sample::new(Kind::Gauge, Value::Whole(1))
        })
    }

    /// A number in snapshots only.
    pub(super) fn field(&mut self, field: &str, value: Value) -> &mut Sample {
        self.push(Sample {
            field: Some(field.to_owned()),
            ..Sample::new(Kind::Gauge, value)
        })
    }

    /// A number of Lanner's own.
    pub(super) fn own(
        &mut self,
        metric: &'static str,
        help: &'static str,
        kind: Kind,
        value: u64,
        labels: &[(&str, &str)],
    ) -> &mut Sample {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.push(Sample {
            metric: Some(metric),
            labels: labels.iter().map(owned).collect(),
            help: Some(help),
            ..Sample::new(kind, Value::Whole(value))
        })
    }
}
