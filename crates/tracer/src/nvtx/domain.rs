//! Domains: the names, categories and events of one library or program.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::core2;
use super::attach::{CORE2, attached};
use super::event::{Category, Event, Handle, Message, Text};

/// A domain of the attached tool. It lives as long as the process: several sessions share the domain of one name, which
/// a tool would otherwise list several times.
#[derive(Clone, Copy, Debug)]
pub struct Domain(&'static Named);

#[derive(Debug)]
struct Named {
    name: String,
    handle: Handle,
    messages: Mutex<HashMap<String, Message>>,
    /// Their numbers count from 1.
    categories: Mutex<Vec<String>>,
}

/// A range that may end on another thread than it started on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeId(u64);

static DOMAINS: Mutex<Vec<Domain>> = Mutex::new(Vec::new());

/// What another thread left when it panicked is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text as a tool reads it: UTF-8 that ends with a zero and has none inside.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

impl Domain {
    /// The domain of that name; none when no tool is attached. Takes a lock.
    pub fn named(name: &str) -> Option<Self> {
        if !attached() {
            return None;
        }
        let mut domains = lock(&DOMAINS);
        let known = domains.iter().copied().find(|domain| domain.0.name == name);
        Some(known.unwrap_or_else(|| {
            let domain = Self::create(name);
            domains.push(domain);
            domain
        }))
    }

    fn create(name: &str) -> Self {
        // SAFETY: the slot's type; the text ends with a zero and a tool copies it.
        let handle = unsafe {
            let create = CORE2[core2::CREATE].function::<core2::Create>();
            create.map_or(std::ptr::null_mut(), |create| create(c_string(name).as_ptr()))
        };
        let (messages, categories) = (Mutex::default(), Mutex::default());
        // Freed never: a tool may refer to a domain until the process ends.
        Self(Box::leak(Box::new(Named { name: name.to_owned(), handle: Handle(handle), messages, categories })))
    }

    fn handle(self) -> core2::Domain {
        self.0.handle.0
    }

    /// The text of an event, given to the tool once. Takes a lock.
    pub fn message(self, text: &str) -> Message {
        let mut messages = lock(&self.0.messages);
        if let Some(&message) = messages.get(text) {
            return message;
        }
        let plain = c_string(text);
        // SAFETY: the slot's type; the text ends with a zero and a tool copies it.
        let handle = unsafe {
            let register = CORE2[core2::REGISTER_STRING].function::<core2::RegisterString>();
            register.map_or(std::ptr::null_mut(), |register| register(self.handle(), plain.as_ptr()))
        };
        // A tool that registers no strings gets the text itself each time, which must then outlive every event.
        let text_of = if handle.is_null() {
            Text::Plain(Box::leak(plain.into_boxed_c_str()))
        } else {
            Text::Registered(Handle(handle))
        };
        messages.insert(text.to_owned(), Message(text_of));
        Message(text_of)
    }

    /// The category of that name, made known to the tool when it is new. Takes a lock.
    pub fn category(self, name: &str) -> Category {
        let mut categories = lock(&self.0.categories);
        if let Some(index) = categories.iter().position(|known| known == name) {
            return Category(index as u32 + 1);
        }
        categories.push(name.to_owned());
        let number = categories.len() as u32;
        // SAFETY: the slot's type; the text ends with a zero and a tool copies it.
        unsafe {
            if let Some(name_category) = CORE2[core2::NAME_CATEGORY].function::<core2::NameCategory>() {
                name_category(self.handle(), number, c_string(name).as_ptr());
            }
        }
        Category(number)
    }

    /// Opens a range on this thread; ranges of a thread and domain end in reverse order.
    #[inline]
    pub fn push(self, event: &Event) {
        // SAFETY: the slot's type, a handle of the tool, and attributes that live through the call.
        unsafe {
            if let Some(push) = CORE2[core2::RANGE_PUSH].function::<core2::RangePush>() {
                push(self.handle(), &raw const event.0);
            }
        }
    }

    /// Ends the innermost range that this thread pushed.
    #[inline]
    pub fn pop(self) {
        // SAFETY: the slot's type and a handle of the tool.
        unsafe {
            if let Some(pop) = CORE2[core2::RANGE_POP].function::<core2::RangePop>() {
                pop(self.handle());
            }
        }
    }

    /// Starts a range that any thread may end, in any order.
    #[inline]
    pub fn start(self, event: &Event) -> RangeId {
        // SAFETY: the slot's type, a handle of the tool, and attributes that live through the call.
        let start = unsafe { CORE2[core2::RANGE_START].function::<core2::RangeStart>() };
        // SAFETY: as above.
        RangeId(start.map_or(0, |start| unsafe { start(self.handle(), &raw const event.0) }))
    }

    /// Ends a range that [`Domain::start`] started.
    #[inline]
    pub fn end(self, range: RangeId) {
        // SAFETY: the slot's type, a handle of the tool, and a number that it gave.
        unsafe {
            if let Some(end) = CORE2[core2::RANGE_END].function::<core2::RangeEnd>() {
                end(self.handle(), range.0);
            }
        }
    }

    /// Says that something happens now.
    #[inline]
    pub fn mark(self, event: &Event) {
        // SAFETY: the slot's type, a handle of the tool, and attributes that live through the call.
        unsafe {
            if let Some(mark) = CORE2[core2::MARK].function::<core2::Mark>() {
                mark(self.handle(), &raw const event.0);
            }
        }
    }
}
