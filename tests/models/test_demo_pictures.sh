# tests/models/test_demo_pictures.sh -- the tar of demo pictures is a WebDataset that its table describes, and
# tools/demo-pictures.sh unpacks a tar once, whole, and again when it has changed.
. "${CN_SOURCE_DIR:?}/tests/architecture/checks.sh"
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

samples_are_a_picture_a_label_and_a_description() {
    local members=$scratch/members name kind
    tar -tf models/demo-pictures.tar >"$members"
    grep -vE '^[^./]+\.(png|txt|json)$' "$members"
    sed 's/\..*//' "$members" | uniq | sort | uniq -d | sed 's/$/: its files are not side by side/'
    sed 's/\..*//' "$members" | sort | uniq -c | awk '$1 != 3 { print $2 ": not three files" }'
    for kind in png txt json; do
        for name in $(sed -n "s/\.$kind\$//p" "$members" | sort | uniq -d); do echo "$name.$kind: twice"; done
    done
}

# Every sample as a row of the table. Values in the .json files are plain: no escapes.
rows_of_samples() { # FOLDER
    local json name text key row
    for json in "$1"/*.json; do
        name=${json%.json} text=$(<"$name.txt") row=${name##*/}.png json=$(<"$json")
        for key in label medium source licence; do
            [[ $json =~ \"$key\":\ ?\"([^\"]+)\" ]] || echo "$name.json: no $key"
            case ${BASH_REMATCH[1]-} in
            *,*) row+=",\"${BASH_REMATCH[1]}\"" ;;
            *) row+=,${BASH_REMATCH[1]-} ;;
            esac
            [ $key != label ] || [ "${BASH_REMATCH[1]-}" = "$text" ] || echo "$name.txt: \"$text\" is not the label in the .json"
        done
        echo "$row"
    done
}

the_table_says_what_the_samples_say() {
    mkdir "$scratch/all"
    tar -xf models/demo-pictures.tar -C "$scratch/all"
    head -n 1 models/demo-pictures.csv | grep -vx 'path,label,medium,source,licence'
    diff <(tail -n +2 models/demo-pictures.csv | sort) <(rows_of_samples "$scratch/all" | sort)
}

# A tar of one picture, and its table, as $scratch/small.tar and .csv.
make_tar() { # NAME
    (cd "$scratch" && echo picture >"$1.png" && echo label >"$1.txt" && tar -cf small.tar "$1.png" "$1.txt" &&
        printf 'path,label\n%s.png,label\n' "$1" >small.csv)
}

unpack() { sh tools/demo-pictures.sh "$scratch/build" "$scratch/small.tar"; }

holds() { # NAME...: what BUILD/demo-pictures must hold, and nothing is left beside it
    diff <(printf '%s\n' "$@") <(cd "$scratch/build/demo-pictures" && ls)
    diff <(printf '%s\n' demo-pictures demo-pictures.lock) <(ls "$scratch/build")
}

pictures_are_unpacked_with_their_table() {
    make_tar first
    unpack
    holds first.png labels.csv
    cmp "$scratch/small.csv" "$scratch/build/demo-pictures/labels.csv"
}

pictures_are_unpacked_once() {
    local before
    before=$(stat -c %i "$scratch/build/demo-pictures")
    unpack
    [ "$(stat -c %i "$scratch/build/demo-pictures")" = "$before" ] || echo "unpacked again"
}

another_tar_is_unpacked_again() {
    make_tar second
    unpack
    holds labels.csv second.png
}

an_older_tar_is_unpacked_as_well() {
    make_tar third
    touch -d 2001-01-01 "$scratch/small.tar" "$scratch/small.csv"
    unpack
    holds labels.csv third.png
}

an_interrupted_run_is_made_good() {
    rm -r "$scratch/build/demo-pictures"
    mkdir "$scratch/build/demo-pictures.new"
    echo half >"$scratch/build/demo-pictures.new/half.png"
    unpack
    holds labels.csv third.png
}

a_broken_tar_leaves_the_folder_as_it_was() {
    make_tar fourth
    echo rubbish >"$scratch/small.tar"
    unpack 2>/dev/null && echo "no failure"
    rm -rf "$scratch/build/demo-pictures.new"
    holds labels.csv third.png
}

runs_at_once_do_not_disturb_each_other() {
    local i
    make_tar fifth
    rm -r "$scratch/build"
    for i in 1 2 3 4 5 6 7 8; do unpack & done
    wait
    holds fifth.png labels.csv
}

check samples_are_a_picture_a_label_and_a_description
check the_table_says_what_the_samples_say
check pictures_are_unpacked_with_their_table
check pictures_are_unpacked_once
check another_tar_is_unpacked_again
check an_older_tar_is_unpacked_as_well
check an_interrupted_run_is_made_good
check a_broken_tar_leaves_the_folder_as_it_was
check runs_at_once_do_not_disturb_each_other
exit $failed
