target_link_libraries(test_textunits PRIVATE m)
