/* Sockets that are accepted, and requests that open connections. Belongs to the extension; see
 * _speedups.c.
 */
#ifndef WAMPUSH_OPENINGS_H
#define WAMPUSH_OPENINGS_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

/* Add the functions to the module; -1 with an exception set if that fails. */
int add_openings(PyObject *module);

#endif
