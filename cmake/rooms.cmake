# cn_room(NAME SOURCES ... [DEPENDS rooms...] [LIBS libraries...])
#   makes the static library cn_NAME from the sources of src/NAME. DEPENDS are rooms, LIBS are
#   outside libraries. cn_shared_library() links every room into libclipneuron.so.
# cn_bytes(FROM TO HEADER NAME [SIZE]) writes the bytes of the file FROM as the C source TO: the array NAME, which HEADER declares, with
#   a zero behind it; SIZE: and NAME_size, without the zero. Libraries work without their source tree.
# cn_pkg(VAR module) finds a pkg-config module as the imported target PkgConfig::VAR.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(cn_flags INTERFACE)
target_compile_definitions(cn_flags INTERFACE _GNU_SOURCE)
target_compile_options(cn_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wwrite-strings -Wundef -Wvla -Wno-missing-field-initializers -fno-math-errno -fno-trapping-math)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # snprintf into a small buffer truncates on purpose
  target_compile_options(cn_flags INTERFACE -Wno-format-truncation)
endif()
if(CN_WERROR)
  target_compile_options(cn_flags INTERFACE -Werror)
endif()
if(CN_SANITIZE)
  target_compile_options(cn_flags INTERFACE -fsanitize=${CN_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(cn_flags INTERFACE -fsanitize=${CN_SANITIZE})
endif()
if(CN_FUZZ)
  target_compile_options(cn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(cn_pkg var module)
  pkg_check_modules(${var} REQUIRED IMPORTED_TARGET GLOBAL ${module})
endfunction()

function(cn_bytes from to header name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${from}")
  file(READ "${from}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  file(RELATIVE_PATH source "${PROJECT_SOURCE_DIR}" "${from}")
  set(text "/* Made from ${source} by the build. */\n#include \"${header}\"\n\nconst char ${name}[] = {\n${bytes}0};\n")
  if("SIZE" IN_LIST ARGN)
    string(APPEND text "const size_t ${name}_size = sizeof ${name} - 1;\n")
  endif()
  file(GENERATE OUTPUT "${to}" CONTENT "${text}")
endfunction()

function(cn_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
  add_library(cn_${name} STATIC ${ARG_SOURCES})
  target_include_directories(cn_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
  target_compile_definitions(cn_${name} PRIVATE CN_BUILDING=1)
  target_link_libraries(cn_${name} PUBLIC cn_flags ${ARG_LIBS})
  foreach(room ${ARG_DEPENDS})
    target_link_libraries(cn_${name} PUBLIC cn_${room})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY CN_ROOMS cn_${name})
  set_property(GLOBAL APPEND PROPERTY CN_ROOM_LIBS ${ARG_LIBS})
endfunction()

function(cn_shared_library)
  get_property(rooms GLOBAL PROPERTY CN_ROOMS)
  get_property(libs GLOBAL PROPERTY CN_ROOM_LIBS)
  list(REMOVE_DUPLICATES libs)
  list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  add_library(clipneuron SHARED ${objects})
  set_target_properties(clipneuron PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(clipneuron PRIVATE cn_flags ${libs})
  if(NOT CN_SANITIZE AND NOT CN_FUZZ) # else the runtime is in the program
    target_link_options(clipneuron PRIVATE -Wl,--no-undefined)
  endif()
  target_include_directories(clipneuron PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  set_target_properties(clipneuron PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
  install(TARGETS clipneuron LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/clipneuron" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endfunction()

function(cn_optional_subdirectory dir)
  if(EXISTS "${PROJECT_SOURCE_DIR}/${dir}/CMakeLists.txt")
    add_subdirectory(${dir})
  endif()
endfunction()
