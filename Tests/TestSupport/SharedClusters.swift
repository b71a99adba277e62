internal import Synchronization

/// Clusters that several tests of one process use because none of them changes settings, restarts
/// or counts sessions. Make roles and databases with names of the test's own.
package enum SharedClusters {
    private static let clusters = Mutex<[Int: PrivateCluster]>([:])

    /// The shared cluster of this major version, started at the first call; ends with the process.
    package static func cluster(major: Int = 15) throws -> PrivateCluster {
        try clusters.withLock { clusters in
            if let cluster = clusters[major] { return cluster }
            let cluster = try PrivateCluster(major: major)
            clusters[major] = cluster
            return cluster
        }
    }
}
