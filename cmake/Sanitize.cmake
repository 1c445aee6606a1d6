# SAGE_SANITIZE: sanitizers for Sage's own code. LLVM stays as the distribution built it: without instrumentation, and
# without the type information that `vptr` asks for.
set(SAGE_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or (runtime only) thread")

if(SAGE_SANITIZE AND NOT SAGE_SANITIZERS_ADDED)
  set(SAGE_SANITIZERS_ADDED TRUE)
  if(SAGE_SANITIZE MATCHES "thread" AND SAGE_BUILD_COMPILER)
    message(FATAL_ERROR "SAGE_SANITIZE=thread is for the runtime alone: -DSAGE_BUILD_COMPILER=OFF")
  endif()
  add_compile_options(-fsanitize=${SAGE_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${SAGE_SANITIZE})
  if(SAGE_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr -fno-sanitize-recover=undefined)
  endif()
endif()
