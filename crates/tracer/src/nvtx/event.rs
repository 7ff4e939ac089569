//! What a range or a mark says.

use std::ffi::CStr;

use super::abi::Attributes;

/// The text of an event, made once by [`Domain::message`](super::Domain::message).
#[derive(Clone, Copy, Debug)]
pub struct Message(pub(super) Text);

#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    /// A string that the tool knows.
    Registered(Handle),
    /// A string that is passed each time.
    Plain(&'static CStr),
}

/// An address that only the tool understands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle(pub(super) *mut std::ffi::c_void);

// SAFETY: the program never reads what is there; a tool takes its handles on any thread (NVTX is thread-safe).
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// A number of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Payload {
    /// Without a sign.
    Unsigned(u64),
    /// With a sign.
    Signed(i64),
    /// With a fraction.
    Double(f64),
}

/// A category of a domain, made by [`Domain::category`](super::Domain::category).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category(pub(super) u32);

/// What a range or a mark says, ready to be passed.
#[derive(Clone, Copy, Debug)]
pub struct Event(pub(super) Attributes);

// SAFETY: the address inside is that of a static string or a handle, see `Handle`.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event with that text.
    pub fn new(message: Message) -> Self {
        Self(match message.0 {
            Text::Registered(handle) => Attributes::registered(handle.0),
            Text::Plain(text) => Attributes::ascii(text.as_ptr()),
        })
    }

    /// In that category of its domain.
    #[must_use]
    pub fn in_category(mut self, category: Category) -> Self {
        self.0.category = category.0;
        self
    }

    /// Drawn in that colour: alpha, red, green, blue from the highest byte.
    #[must_use]
    pub fn colored(mut self, argb: u32) -> Self {
        self.0.set_color(argb);
        self
    }

    /// With a number.
    #[inline]
    #[must_use]
    pub fn with(mut self, payload: Payload) -> Self {
        (self.0.payload_type, self.0.payload) = match payload {
            Payload::Unsigned(value) => (1, value),
            Payload::Signed(value) => (2, value.cast_unsigned()),
            Payload::Double(value) => (3, value.to_bits()),
        };
        self
    }
}
