// Code that may touch memory that isn't there.
#pragma once

// Runs a function in this thread; false where it was ended by a bad access (SIGSEGV, SIGBUS). What it held then is lost.
bool run_guarded(void (*function)(void *), void *data);
