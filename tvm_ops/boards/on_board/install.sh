# Versions of a bundle below the folder $2: versions/, and the links current and previous.
#
#   stage PREFIX BYTES      unpack the tar on standard input and check its SHA256SUMS; says where
#   commit PREFIX STAGED VERSION   make it the current one, keep the one before, remove older ones
#   discard PREFIX STAGED
#   state PREFIX            which are there, and whether the current one is sound
#   rollback PREFIX         exchange current and previous
action=$1 prefix=$2
fail() {
    echo "$*" >&2
    exit 1
}
version_of() { link=$(readlink "$prefix/$1") && echo "${link##*/}"; }
sound() { (cd "$1" && sha256sum --check --quiet --strict SHA256SUMS) >/dev/null 2>&1; }

# One rename, so that there is always a link, to the old version or to the new one.
point() {
    ln -s "versions/$2" "$prefix/.$1.$$" && mv -T "$prefix/.$1.$$" "$prefix/$1" ||
        fail "cannot write $prefix/$1"
}
alone() {
    exec 9<"$prefix/versions" && flock 9 || fail "cannot lock $prefix/versions"
}

case $action in
    stage)
        echo ready
        mkdir -p "$prefix/versions" || fail "cannot make $prefix/versions"
        find "$prefix/versions" -maxdepth 1 -name '.new-*' -mtime +0 -exec rm -rf {} +
        staged=$(mktemp -d "$prefix/versions/.new-XXXXXX") || fail "cannot write $prefix/versions"
        if ! head -c "$3" | tar -xf - --no-same-owner -C "$staged" || ! sound "$staged"; then
            rm -rf "$staged"
            fail "what arrived has wrong checksums, or the disk is full"
        fi
        chmod 755 "$staged"
        (cd "$staged" && pwd -P)
        ;;
    commit)
        alone
        sync
        mv -T "$prefix/versions/$3" "$prefix/versions/$4" || fail "cannot rename $3 to $4"
        old=$(version_of current)
        [ -z "$old" ] || point previous "$old"
        point current "$4"
        sync # or a power failure might take the links back to what is removed now
        for folder in "$prefix"/versions/*; do
            case ${folder##*/} in
                "$4" | "$old") ;;
                *) rm -rf "$folder" ;;
            esac
        done
        echo "previous=$old"
        ;;
    discard) rm -rf "${prefix:?}/versions/${3:?}" ;;
    state)
        echo "current=$(version_of current)"
        echo "previous=$(version_of previous)"
        if sound "$prefix/current"; then
            echo "folder=$(cd "$prefix/current" && pwd -P)"
        fi
        ;;
    rollback)
        [ -d "$prefix/versions" ] || fail "nothing was deployed to $prefix"
        alone
        new=$(version_of previous) old=$(version_of current)
        [ -n "$new" ] || fail "there is no previous version in $prefix"
        [ "$new" != "$old" ] || fail "the previous version $new is the current one: deploy again"
        sound "$prefix/versions/$new" || fail "the previous version $new has wrong checksums"
        point current "$new"
        point previous "$old"
        echo "current=$new"
        echo "previous=$old"
        ;;
esac
