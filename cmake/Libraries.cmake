# The libraries weir stands on. scripts/setup installs them; a missing one is named with its Debian package.
#
# Where there is an archive (lib*.a: Debian's, or build/ext's from scripts/archive-yyjson), it is linked in, so that the
# program can be copied alone to another machine; else the shared library serves as well.
option(WEIR_PREFER_ARCHIVES "link outside libraries from their archives where there are any" ON)
set(archives ${PROJECT_SOURCE_DIR}/build/ext)
if(CMAKE_CROSSCOMPILING)
  set(archives "")
endif()

# weir_library(NAME HEADER LIBRARY PACKAGE [OPTIONAL]): makes the target ext_NAME, or stops with one clear line.
function(weir_library name header library package)
  cmake_parse_arguments(PARSE_ARGV 4 ARG OPTIONAL "" "")
  if(WEIR_PREFER_ARCHIVES)
    set(names lib${library}.a ${library})
  else()
    set(names ${library})
  endif()
  if(archives AND EXISTS ${archives}/lib${library}.a)
    unset(${name}_LIBRARY CACHE) # it may have come after the first configure
  endif()
  find_path(${name}_INCLUDE ${header})
  find_library(${name}_LIBRARY NAMES ${names} HINTS ${archives})
  mark_as_advanced(${name}_INCLUDE ${name}_LIBRARY)
  if(${name}_INCLUDE AND ${name}_LIBRARY)
    add_library(ext_${name} UNKNOWN IMPORTED GLOBAL) # imported: CMake then keeps archives in the order of their needs
    set_target_properties(ext_${name} PROPERTIES IMPORTED_LOCATION ${${name}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${${name}_INCLUDE})
  elseif(NOT ARG_OPTIONAL)
    message(FATAL_ERROR "weir needs ${header} (Debian package ${package}). Run scripts/setup, or install it by hand.")
  endif()
endfunction()

find_package(Threads REQUIRED)
weir_library(yyjson yyjson.h yyjson libyyjson-dev)
weir_library(llhttp llhttp.h llhttp libllhttp-dev)
weir_library(yaml yaml.h yaml libyaml-dev)
weir_library(utf8proc utf8proc.h utf8proc libutf8proc-dev)
weir_library(crypto openssl/evp.h crypto libssl-dev)
weir_library(sqlite sqlite3.h sqlite3 libsqlite3-dev)
weir_library(ssl openssl/ssl.h ssl libssl-dev)
target_compile_definitions(ext_utf8proc INTERFACE UTF8PROC_STATIC)
target_link_libraries(ext_crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
target_link_libraries(ext_ssl INTERFACE ext_crypto)
target_link_libraries(ext_sqlite INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
