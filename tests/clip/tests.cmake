# The golden test starts from picture files and texts.
target_link_libraries(test_golden PRIVATE cn_image cn_text)
