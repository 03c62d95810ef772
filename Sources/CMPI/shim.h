// What Swift needs of MPI beyond <mpi.h> itself. Open MPI's handles and special pointers are macros that cast an
// address, which the importer cannot see, so each that is used has a function here. Only
// Collectives/MPICommunicator.swift imports this module.
#pragma once
#include <mpi.h>

// Casts of the address of a global: &ompi_mpi_comm_world, &ompi_mpi_byte, ...
static inline MPI_Comm cmpi_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype cmpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype cmpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype cmpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Op cmpi_sum(void) { return MPI_SUM; }
static inline MPI_Errhandler cmpi_errors_return(void) { return MPI_ERRORS_RETURN; }

// Casts of small integers: (void *) 1 and a null MPI_Status pointer.
static inline void *cmpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *cmpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
