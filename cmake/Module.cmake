# weir_module(NAME DEPS...): one static library a folder under src/.
#
# DEPS name the only rooms that it may include, and the libraries from outside (ext_*). NAME may be a path
# (engine/kernel); the library is then weir_engine_kernel. A folder without sources yet makes no library, and a room
# that depends on it does without. All libraries together are weir_rooms (for fuzz programs).
add_library(weir_rooms INTERFACE)

function(weir_module name)
  string(REPLACE "/" "_" target "weir_${name}")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c ${PROJECT_SOURCE_DIR}/src/${name}/*.S)
  if(NOT sources)
    return()
  endif()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PUBLIC weir_flags)
  target_link_libraries(weir_rooms INTERFACE ${target})
  foreach(dep ${ARGN})
    string(REPLACE "/" "_" dep_target "weir_${dep}")
    if(TARGET ${dep_target})
      target_link_libraries(${target} PUBLIC ${dep_target})
    elseif(dep MATCHES "^ext_" OR dep STREQUAL "Threads::Threads" OR dep STREQUAL "m")
      target_link_libraries(${target} PUBLIC ${dep})
    endif()
  endforeach()
endfunction()
