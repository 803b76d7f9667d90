package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Found is what is in a data directory before any of it is opened.
type Found struct {
	DB     uint64            // the database's id
	Logs   map[string]uint64 // by group: the newest index that the log is known to have had
	Groups []string          // that have anything in the database
}

// inUse reports whether the directory holds a cluster, or held one. All logs are made before the first
// shard gets an entry. By then the catalog's log may have two: its configuration and the election of its
// leader.
func (f Found) inUse() bool {
	for group, last := range f.Logs {
		if group != catalogGroup && last > 0 || last > 2 {
			return true
		}
	}
	return len(f.Groups) > 0
}

// Parts of a data directory are named by their paths in it.
const dbPart = "db"

func logPart(group string) string { return "raft/" + group }

// groups returns the names of all groups of the cluster.
func (m meta) groups() []string {
	names := []string{catalogGroup}
	for i := range m.Shards {
		names = append(names, shardName(i))
	}
	return names
}

// restoreHint says what to do about an incomplete directory.
const restoreHint = "put back what was moved away, or restore the whole data directory from one copy; muster check lists everything that is wrong"

// checkFound refuses a directory with missing logs, which would start empty, or with a database that
// belongs to another directory. A directory whose parts are not recorded yet may be a new one whose
// first start did not finish.
func (m meta) checkFound(dir string, found Found) error {
	var missing []string
	for _, group := range m.groups() {
		if _, ok := found.Logs[group]; !ok && (m.Parts != nil || found.inUse()) {
			missing = append(missing, logPart(group))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("open %s: missing: %s: what was acknowledged is in there; %s", dir, strings.Join(missing, ", "), restoreHint)
	}
	return m.checkPart(dir, dbPart, found.DB)
}

// checkPart refuses a part that is not the one the directory was used with.
func (m meta) checkPart(dir, part string, id uint64) error {
	if want, ok := m.Parts[part]; ok && want != id {
		return fmt.Errorf("open %s: %s is not the one that belongs here: its id is %016x, %s says %016x; %s", dir, part, id, metaFile, want, restoreHint)
	}
	return nil
}

// checkLogs refuses logs that are not those the directory was used with.
func (n *Node) checkLogs() error {
	errs := []error{n.meta.checkPart(n.config.Dir, logPart(catalogGroup), n.group.log.ID())}
	for _, s := range n.shards {
		errs = append(errs, n.meta.checkPart(n.config.Dir, logPart(s.name()), s.group.log.ID()))
	}
	return errors.Join(errs...)
}

// checkCatalog refuses shards that are ahead of the catalog: it would give ids to names a second time
// that the shards know by other ids.
func (n *Node) checkCatalog() error {
	var errs []error
	newest := n.registry.state.Load().Version()
	for _, s := range n.shards {
		if has := s.catalog(); has > newest {
			errs = append(errs, fmt.Errorf("%s has catalog version %d, %s ends at %d", logPart(s.name()), has, logPart(catalogGroup), newest))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("open %s: the catalog is an older copy, or has lost its end: %w; %s", n.config.Dir, errors.Join(errs...), restoreHint)
	}
	return nil
}

// recordParts writes the ids of the parts into the meta, after all of them have been verified.
func (n *Node) recordParts(found Found) error {
	if n.meta.Parts != nil {
		return nil
	}
	m := n.meta
	m.Parts = map[string]uint64{dbPart: found.DB, logPart(catalogGroup): n.group.log.ID()}
	for _, s := range n.shards {
		m.Parts[logPart(s.name())] = s.group.log.ID()
	}
	if err := m.write(n.config.Dir); err != nil {
		return err
	}
	n.meta = m
	return nil
}

// checkNew refuses to make a cluster in a directory with the data of another.
func checkNew(dir string, found Found) error {
	if len(found.Logs) == 0 && len(found.Groups) == 0 {
		return nil
	}
	left := slices.Clone(found.Groups)
	for group := range found.Logs {
		left = append(left, logPart(group))
	}
	slices.Sort(left)
	return fmt.Errorf("open %s: %s is missing, but there is data: %s; %s", dir, metaFile, strings.Join(left, ", "), restoreHint)
}
