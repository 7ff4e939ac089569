//! Numbers in which nsys packs several others.

/// The process inside a `globalPid` or `globalTid`.
///
/// The bits are, from the highest: 16 for the machine, 24 for the process, 24 for the thread.
#[inline]
pub(crate) fn process(global: i64) -> i64 {
    global >> 24 & 0xff_ffff
}

/// The thread inside a `globalTid`.
#[inline]
pub(crate) fn thread(global: i64) -> i64 {
    global & 0xff_ffff
}

/// A number that CUPTI writes as all ones where it does not apply.
#[inline]
pub(crate) fn valid(value: Option<i64>) -> Option<i64> {
    value.filter(|value| !matches!(value, 0xffff_ffff | -1))
}

/// A number for which 0 means that there is none.
#[inline]
pub(crate) fn nonzero(value: Option<i64>) -> Option<i64> {
    valid(value).filter(|value| *value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_ids_hold_process_and_thread() {
        assert_eq!((process(281_522_691_115_804), thread(281_522_691_115_804)), (2844, 2844));
        assert_eq!((process(281_477_459_738_624), thread(281_477_459_738_772)), (148, 148));
        assert_eq!((valid(Some(0xffff_ffff)), valid(Some(7)), nonzero(Some(0))), (None, Some(7), None));
    }
}
