// Errors on demand: DOUBLE_FAIL and DOUBLE_FAIL_CODE.
#pragma once

// The error that the call of this function shall return, or 0. Every call counts.
int fault(const char *function, int code);
