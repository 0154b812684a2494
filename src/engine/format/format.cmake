# The searches of the quantisers: their loops are what `weir model quantize` waits for.
set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/engine/format/quantise_fit.c PROPERTIES COMPILE_OPTIONS "-O3")
