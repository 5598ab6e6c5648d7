# Where things go: the library found from the program by a relative path (any PREFIX works without ldconfig),
# and a pkg-config file for programs that use the library.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/clipneuron.pc.in" "${PROJECT_BINARY_DIR}/clipneuron.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/clipneuron.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
