message(FATAL_ERROR "the subproject includes a module of the project around it")
