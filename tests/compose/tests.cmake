target_link_libraries(test_textunits PRIVATE m)
target_link_libraries(test_wordspace PRIVATE m)
