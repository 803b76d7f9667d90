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
	Logs   map[string]uint64 // by group, with the newest index they are known to have had
	Groups []string          // of which the database holds anything
}

// inUse tells whether a cluster lives in the directory, or lived. All logs are made before the first
// shard's gets an entry; the catalog's has two, its configuration and its leader, in the moment before.
func (f Found) inUse() bool {
	for group, last := range f.Logs {
		if group != catalogGroup && last > 0 || last > 2 {
			return true
		}
	}
	return len(f.Groups) > 0
}

// The parts of a data directory are named by their paths in it.
const dbPart = "db"

func logPart(group string) string { return "raft/" + group }

// groups are the names of all groups of the cluster.
func (m meta) groups() []string {
	names := []string{catalogGroup}
	for i := range m.Shards {
		names = append(names, shardName(i))
	}
	return names
}

// restoreHint is what to do about a directory that is not whole.
const restoreHint = "put back what was moved away, or restore the whole data directory from one copy; muster check lists all that is wrong"

// checkFound refuses a directory that lacks logs, which would begin anew with nothing in them, or whose
// database is another one. A directory that does not name its parts yet may be a new one that was not made to
// the end.
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

// checkCatalog refuses shards that are ahead of the catalog: names would be given again that they know
// otherwise.
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

// keepParts writes into the meta which parts there are, once all of them are whole.
func (n *Node) keepParts(found Found) error {
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

// checkNew refuses to make a cluster where another has left something.
func checkNew(dir string, found Found) error {
	if len(found.Logs) == 0 && len(found.Groups) == 0 {
		return nil
	}
	left := slices.Clone(found.Groups)
	for group := range found.Logs {
		left = append(left, logPart(group))
	}
	slices.Sort(left)
	return fmt.Errorf("open %s: %s is missing, and there are data: %s; %s", dir, metaFile, strings.Join(left, ", "), restoreHint)
}
