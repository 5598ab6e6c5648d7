# The tests of the program run it on demo pictures, so building one builds both.
foreach(name test_usage test_progress test_examples test_results test_download)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE m)
    add_dependencies(${name} program demo_pictures)
  endif()
endforeach()
